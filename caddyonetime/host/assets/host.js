// What the pages do better where scripts run. Everything works without.

const $ = (id) => document.getElementById(id);

// Styles that only make sense with scripts hang on this.
document.documentElement.classList.add("js");

// In Home Assistant's frame, and in the web view of its app, nothing can be
// shared; pages there copy.
const canShare = () => {
	try {
		return !!navigator.share && (!navigator.canShare || navigator.canShare({ text: "x" }));
	} catch {
		return false;
	}
};

// Without https or in a frame there is no clipboard, but there is what came
// before it. field holds the text.
const copyField = (field) => {
	field.focus({ preventScroll: true });
	field.select();
	field.setSelectionRange(0, field.value.length);
	try {
		return document.execCommand("copy");
	} catch {
		return false;
	}
};

const copyText = async (text) => {
	try {
		await navigator.clipboard.writeText(text);
		return true;
	} catch {
		const field = document.createElement("textarea");
		field.value = text;
		field.readOnly = true;
		field.className = "sr";
		document.body.append(field);
		const done = copyField(field);
		field.remove();
		return done;
	}
};

const offline = $("offline");
const unsent = $("unsent");
if (offline) {
	const tell = () => {
		offline.hidden = navigator.onLine !== false || !unsent.hidden;
		if (navigator.onLine) unsent.hidden = true;
	};
	addEventListener("online", tell);
	addEventListener("offline", tell);
	tell();
}

/* A form goes out only where somebody answers who still knows the host: what was
   written would be gone with the page */
const unheard = (why) => {
	unsent.hidden = !why;
	if (!why) return;
	offline.hidden = true;
	const [say, login] = unsent.querySelectorAll("p");
	say.textContent = unsent.dataset[why];
	login.hidden = why !== "out";
};
const loggedOut = (answer) => answer.type === "opaqueredirect" || answer.status === 401 || answer.status === 403;
const reach = async () => {
	const stop = new AbortController();
	const timer = setTimeout(() => stop.abort(), 10000);
	try {
		const answer = await fetch("-/icon.svg", { method: "HEAD", cache: "no-store", redirect: "manual", signal: stop.signal });
		return loggedOut(answer) ? "out" : "";
	} catch {
		return "lost";
	} finally {
		clearTimeout(timer);
	}
};
let asking = false;
let leaving; // a form is on its way: an impatient second tap sends no second one
addEventListener("pageshow", () => { leaving = clearTimeout(leaving); });
addEventListener("submit", async (event) => {
	const form = event.target;
	const button = event.submitter;
	if (event.defaultPrevented || !unsent || form.method !== "post" || !form.requestSubmit || button?.formTarget === "_blank") return;
	if (form.dataset.heard) {
		delete form.dataset.heard;
		leaving = setTimeout(() => { leaving = 0; }, 10000);
		return;
	}
	event.preventDefault();
	if (asking || leaving) return;
	asking = true;
	button?.setAttribute("aria-disabled", "true");
	const why = await reach();
	asking = false;
	button?.removeAttribute("aria-disabled");
	unheard(why);
	if (why) return;
	form.dataset.heard = "1";
	form.requestSubmit(button);
});

/* Copying, sharing */
const url = $("url");
if (url) {
	const hint = $("hint");
	hint.hidden = true;
	url.addEventListener("focus", () => url.select());
	url.addEventListener("click", () => url.select());

	const copy = $("copy");
	const label = copy.querySelector("span");
	const usual = label.textContent;
	let back;
	const copied = () => {
		label.textContent = copy.dataset.done;
		clearTimeout(back);
		back = setTimeout(() => { label.textContent = usual; }, 2500);
	};
	copy.addEventListener("click", async () => {
		if (await copyText(url.value)) return copied();
		copyField(url);
		hint.hidden = false;
	});
	if ("copied" in $("sendjs").dataset) copied();

	const share = $("share");
	if (canShare()) {
		share.hidden = false;
		copy.classList.remove("primary");
		share.addEventListener("click", async () => {
			try {
				// Only text, the link at its end: messengers double a url beside it.
				await navigator.share({ text: share.dataset.text });
			} catch (err) {
				if (err.name === "AbortError") return;
				share.hidden = true;
				copy.classList.add("primary");
			}
		});
	}
	url.select();
}

/* A new link: the sentence that is always true, and the link on its way in the
   same tap */
const make = $("make");
if (make) {
	const sentence = $("sentence");
	const warning = $("warning");
	const mistake = $("mistake");
	const go = $("go");
	const say = go.querySelector("span");
	const guest = $("guest");
	const sharing = canShare();
	const usual = sharing ? go.dataset.send : go.dataset.copy;
	let asked = 0;
	let warned = "";
	let timer;
	let sending = false;

	const sure = () => make.querySelector("[name=sure]");
	const unsure = () => {
		sure()?.remove();
		say.textContent = usual;
	};
	const show = (said) => {
		sentence.textContent = said.sentence || "";
		sentence.hidden = !!said.warning;
		sentence.classList.remove("stale");
		if ((said.warning || "") !== warned) unsure();
		warned = said.warning || "";
		warning.hidden = !warned;
		warning.querySelector("p").textContent = warned;
	};
	const fail = (text) => {
		mistake.querySelector("p").textContent = text;
		mistake.hidden = false;
	};
	const preview = async () => {
		const mine = ++asked;
		const body = new URLSearchParams(new FormData(make));
		body.set("preview", "1");
		try {
			const answer = await fetch("new", { method: "POST", body });
			if (answer.ok && mine === asked) show(await answer.json());
		} catch {
			// What stands there stays hidden: it may be true no longer.
		}
	};
	const changed = (event) => {
		mistake.hidden = true;
		sentence.classList.add("stale");
		clearTimeout(timer);
		// A choice is made at once; who writes a name writes on.
		timer = setTimeout(preview, event.type === "input" && event.target.matches("input:not([type=radio],[type=checkbox]), textarea") ? 250 : 0);
	};
	if (sure()) warned = warning.querySelector("p").textContent;
	else say.textContent = usual;
	make.addEventListener("input", changed);
	make.addEventListener("change", changed);

	// Safari lets a page write to the clipboard after an answer has come only
	// where the promise of the text is handed over in the tap itself.
	const copyLater = (text) => {
		try {
			const blob = text.then((t) => new Blob([t], { type: "text/plain" }));
			blob.catch(() => {});
			return navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]).then(() => true, () => false);
		} catch {
			return Promise.resolve(false);
		}
	};
	make.addEventListener("submit", async (event) => {
		event.preventDefault();
		if (sending) return; // one press, one link
		if (warned && !sure()) {
			const field = document.createElement("input");
			field.type = "hidden";
			field.name = "sure";
			field.value = "1";
			make.append(field);
			say.textContent = go.dataset.sure;
			return;
		}
		sending = true;
		mistake.hidden = true;
		const before = say.textContent;
		unheard("");
		say.textContent = go.dataset.busy;
		go.setAttribute("aria-disabled", "true");
		const made = fetch("new", { method: "POST", body: new URLSearchParams(new FormData(make)), headers: { Accept: "application/json" }, redirect: "manual" })
			.then(async (answer) => ({ status: answer.status, said: loggedOut(answer) ? {} : await answer.json() }));
		const copying = sharing ? null : copyLater(made.then(({ status, said }) => {
			if (status !== 201) throw new Error("no link");
			return said.url;
		}));
		try {
			const { status, said } = await made;
			if (status === 201) {
				let page = said.page;
				if (sharing) {
					// Refused, the next page's button does it.
					await navigator.share({ text: said.text }).catch(() => {});
				} else if (await copying || await copyText(said.url)) {
					page += "&copied=1";
				}
				location.assign(page);
				return; // still busy, until the page is there
			}
			if (status === 401 || status === 403 || !status) unheard("out");
			else if (said.warning) show(said);
			else fail(said.error || said.detail || go.dataset.lost);
		} catch {
			fail(go.dataset.lost);
		}
		sending = false;
		go.removeAttribute("aria-disabled");
		say.textContent = sure() ? before : usual;
	});
	// Time goes by, and the sentence with it.
	addEventListener("pageshow", (event) => {
		if (event.persisted) location.reload(); // a form that was sent is no new one
	});
	addEventListener("visibilitychange", () => { if (!document.hidden && !sending) preview(); });
	setInterval(() => { if (!document.hidden && !sending) preview(); }, 30000);

	for (const chips of make.querySelectorAll("[data-fill]")) {
		const mark = () => {
			for (const chip of chips.querySelectorAll("button")) chip.setAttribute("aria-pressed", String(chip.textContent === guest.value));
		};
		guest.addEventListener("input", mark);
		chips.addEventListener("click", (event) => {
			const chip = event.target.closest("button");
			if (!chip) return;
			guest.value = guest.value === chip.textContent ? "" : chip.textContent;
			mark();
			sentence.classList.add("stale");
			preview();
		});
		mark();
	}
}

/* Filters take effect when they are chosen */
for (const choice of document.querySelectorAll(".filter select")) {
	choice.addEventListener("change", () => choice.form.requestSubmit());
}

/* A card, a code */
const print = $("print");
if (print) {
	print.hidden = false;
	print.addEventListener("click", () => window.print());
}
if (document.querySelector("[data-awake]")) {
	const awake = () => { if (!document.hidden) navigator.wakeLock?.request("screen").catch(() => {}); };
	document.addEventListener("visibilitychange", awake);
	awake();
}

/* What happens meanwhile: parts with data-fresh follow it, where its value is the
   link that they are about, and with them those with data-also */
const first = document.querySelector("[data-fresh]");
if (first && window.EventSource) {
	const parts = [...document.querySelectorAll("[data-fresh], [data-also]")];
	const id = first.dataset.fresh;
	let stream;
	let timer;
	// What has moved under a finger is not what it was going to tap.
	const still = document.querySelector(".tiles") ?? document.querySelector(".tools, h1");
	const top = () => still.getBoundingClientRect().top;
	let settling;
	const settle = () => {
		document.body.classList.add("settling");
		clearTimeout(settling);
		settling = setTimeout(() => document.body.classList.remove("settling"), 500);
	};
	const refresh = async () => {
		if (asking) return later(); // not the form that waits for its answer
		try {
			const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
			if (!answer.ok) return;
			const page = new DOMParser().parseFromString(await answer.text(), "text/html");
			const before = top();
			for (const part of parts) {
				const fresh = page.getElementById(part.id);
				// Not under somebody's finger or focus, and not said twice.
				if (fresh && fresh.innerHTML !== part.innerHTML && !part.contains(document.activeElement)) part.innerHTML = fresh.innerHTML;
			}
			if (top() !== before) settle();
		} catch {
			// The next event tries again.
		}
	};
	const later = () => {
		clearTimeout(timer);
		timer = setTimeout(refresh, 150);
	};
	const listen = () => {
		if (stream || document.hidden) return;
		stream = new EventSource("api/events");
		// Nobody has told what happened since the page was made.
		stream.addEventListener("open", later);
		for (const what of ["redemption", "refusal", "token_created", "token_changed", "token_revoked", "token_unrevoked", "token_replenished"]) {
			stream.addEventListener(what, (event) => {
				if (!id || JSON.parse(event.data).token === id) later();
			});
		}
		// Everybody sees at once that another host has paused the links.
		for (const what of ["paused", "resumed"]) stream.addEventListener(what, later);
	};
	document.addEventListener("visibilitychange", () => {
		if (document.hidden) {
			stream?.close();
			stream = null;
		} else {
			refresh();
			listen();
		}
	});
	window.addEventListener("pagehide", () => { stream?.close(); stream = null; });
	listen();
}
