// Logs in to Home Assistant without typing, in the place of its own login page, and goes back to its
// frontend as that page does. Whatever is in the way: Home Assistant's own page.
const {again, provider} = document.querySelector("main").dataset;
const query = new URLSearchParams(location.search);
const clientId = query.get("client_id");
const redirect = query.get("redirect_uri");
const handler = ["command_line", provider || null];

const send = (path, method, body) => fetch(path, {
	method, credentials: "same-origin", cache: "no-store", redirect: "error", body, signal: AbortSignal.timeout?.(20000),
});

async function read(answer) {
	if (!answer.ok) throw new Error(`${answer.status}`);
	return answer.json();
}

async function enter() {
	// Asked first: what fails later, Home Assistant counts as a failed login.
	const known = await read(await send("/auth/providers", "GET"));
	if (!(known.providers ?? known).some((p) => p.type === handler[0] && (p.id ?? null) === handler[1])) return null;
	const assertion = await read(await send("/auth/jwt_cookie/assertion", "POST"));

	const start = {client_id: clientId, handler, redirect_uri: redirect};
	for (const name of ["code_challenge", "code_challenge_method", "response_type"]) {
		if (query.get(name)) start[name] = query.get(name);
	}
	const flow = await read(await send("/auth/login_flow", "POST", JSON.stringify(start)));
	if (flow.type !== "form") return null;
	const path = `/auth/login_flow/${encodeURIComponent(flow.flow_id)}`;
	const answer = await send(path, "POST", JSON.stringify({client_id: clientId, ...assertion}));
	const step = await answer.json();
	if (answer.ok && step.type === "create_entry") return {code: step.result, store: known.preselect_remember_me};
	if (step.type === "form") send(path, "DELETE").catch(() => {});
	// A second factor is Home Assistant's to ask for, and no failure.
	if (!answer.ok || step.errors?.base) {
		const form = new FormData();
		form.append("password", assertion.password);
		await send("/auth/jwt_cookie/assertion/untaken", "POST", form);
	}
	return null;
}

function goOn(entered) {
	if (!entered?.code || new URL(redirect).origin !== location.origin) return location.replace(again);
	let to = redirect;
	if (!to.includes("?")) to += "?";
	else if (!/[?&]$/.test(to)) to += "&";
	to += `code=${encodeURIComponent(entered.code)}`;
	if (query.has("state")) to += `&state=${encodeURIComponent(query.get("state"))}`;
	if (entered.store) to += "&storeToken=true";
	location.replace(to);
}

// It takes a moment. Whoever has to wait may rather type.
setTimeout(() => { document.getElementById("link").hidden = false; }, 4000);
enter().then(goOn, () => location.replace(again));
