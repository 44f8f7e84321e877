// Comes back with a cookie: by what Home Assistant's frontend keeps in this browser,
// by the phone app this page is shown in, or by Home Assistant's own login page.
const main = document.querySelector("main");
const {again, authorize} = main.dataset;
const clientId = `${location.origin}/`;
const verifierKey = "hass_login_verifier";
const roundsKey = "hass_login_rounds";

const store = {
	get(area, key) {
		try { return window[area].getItem(key); } catch { return null; }
	},
	set(area, key, value) {
		try { window[area].setItem(key, value); } catch { /* this browser keeps nothing */ }
	},
	remove(area, key) {
		try { window[area].removeItem(key); } catch { /* nothing to remove */ }
	},
};

function trouble() {
	store.remove("sessionStorage", roundsKey);
	document.getElementById("text").textContent = main.dataset.trouble;
	const link = document.getElementById("link");
	if (link) link.hidden = false;
}

// A browser that keeps no cookies would go round for ever; the server cannot count
// there, but this tab can.
function roundsLeft() {
	const [target, count] = (store.get("sessionStorage", roundsKey) ?? "").split("\n");
	const n = target === again ? Number(count) + 1 : 1;
	store.set("sessionStorage", roundsKey, `${again}\n${n}`);
	return n <= 4;
}

async function post(path, fields) {
	const body = new FormData();
	for (const [name, value] of Object.entries(fields)) body.append(name, value);
	return fetch(path, {method: "POST", credentials: "same-origin", body, signal: AbortSignal.timeout?.(20000)});
}

// The apps hand out an access token to the page they show.
function appToken() {
	const ios = window.webkit?.messageHandlers?.getExternalAuth;
	const android = window.externalApp?.getExternalAuth;
	if (!ios && !android) return Promise.resolve(null);
	return new Promise((resolve) => {
		const timer = setTimeout(() => resolve(null), 8000);
		window.externalAuthSetToken = (ok, data) => {
			clearTimeout(timer);
			resolve(ok && data ? data.access_token : null);
		};
		const message = {callback: "externalAuthSetToken"};
		if (ios) ios.postMessage(message);
		else window.externalApp.getExternalAuth(JSON.stringify(message));
	});
}

function frontendTokens() {
	try {
		const tokens = JSON.parse(store.get("localStorage", "hassTokens"));
		return tokens?.refresh_token && tokens.clientId ? tokens : null;
	} catch {
		return null;
	}
}

// PKCE (RFC 7636): the code in the address of the way back is of use to this tab only.
// Browsers compute no digest on http, except on localhost.
async function challenge() {
	if (!window.crypto?.subtle) {
		store.remove("sessionStorage", verifierKey);
		return "";
	}
	const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
	const verifier = base64url(crypto.getRandomValues(new Uint8Array(32)));
	store.set("sessionStorage", verifierKey, verifier);
	if (store.get("sessionStorage", verifierKey) !== verifier) return "";
	const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
	return `&code_challenge=${base64url(new Uint8Array(digest))}&code_challenge_method=S256`;
}

async function comeBack() {
	if (!roundsLeft()) return trouble();
	const token = await appToken();
	if (token) {
		const answer = await post("/auth/jwt_cookie/session", {access_token: token});
		return answer.ok ? location.replace(again) : trouble();
	}
	const tokens = frontendTokens();
	if (tokens) {
		const answer = await post("/auth/token", {
			grant_type: "refresh_token", client_id: tokens.clientId, refresh_token: tokens.refresh_token,
		});
		if (answer.ok) return location.replace(again);
		if (answer.status >= 500) return trouble();
	}
	location.replace(authorize + await challenge());
}

async function exchange() {
	const query = new URLSearchParams(location.search);
	const code = query.get("code");
	history.replaceState(null, "", location.pathname);
	if (!code) return trouble();
	const fields = {grant_type: "authorization_code", client_id: clientId, code};
	const verifier = store.get("sessionStorage", verifierKey);
	if (verifier) fields.code_verifier = verifier;
	store.remove("sessionStorage", verifierKey);
	const answer = await post("/auth/token", fields);
	if (!answer.ok) return trouble();
	const tokens = await answer.json();
	if (query.get("storeToken") === "true") {
		// As Home Assistant's frontend keeps them: logged in here is logged in there.
		store.set("localStorage", "hassTokens", JSON.stringify({
			...tokens, hassUrl: location.origin, clientId, expires: Date.now() + tokens.expires_in * 1000,
		}));
	}
	location.replace(again);
}

// Logs out of Home Assistant and of all services, and begins anew. An app would log in
// again by itself as the one who uses it.
async function leave() {
	if (window.webkit?.messageHandlers?.getExternalAuth || window.externalApp?.getExternalAuth) return trouble();
	const tokens = frontendTokens();
	if (tokens) await post("/auth/revoke", {token: tokens.refresh_token});
	const answer = await post("/auth/jwt_cookie/logout", {});
	if (!answer.ok) throw new Error(answer.statusText);
	store.remove("localStorage", "hassTokens");
	location.replace(again);
}

if (main.dataset.do === "switch") {
	document.getElementById("link").addEventListener("click", (event) => {
		event.preventDefault();
		leave().catch(() => location.assign(event.target.href)); // there one logs out by hand
	});
} else {
	(main.dataset.do === "exchange" ? exchange() : comeBack()).catch(trouble);
}
