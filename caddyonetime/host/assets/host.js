// What the pages do better where scripts run. Everything works without.

const $ = (id) => document.getElementById(id);

/* Copying, sharing */
const url = $("url");
if (url) {
	$("sendjs").hidden = false;
	$("hint").hidden = true;
	url.addEventListener("focus", () => url.select());
	url.addEventListener("click", () => url.select());

	const copy = $("copy");
	const label = copy.querySelector("span");
	const usual = label.textContent;
	let back;
	copy.addEventListener("click", async () => {
		let done = false;
		try {
			await navigator.clipboard.writeText(url.value);
			done = true;
		} catch {
			// In Home Assistant's frame, or without https, there is no clipboard.
			url.focus();
			url.select();
			url.setSelectionRange(0, url.value.length);
			done = document.execCommand("copy");
		}
		if (!done) {
			$("hint").hidden = false;
			return;
		}
		label.textContent = copy.dataset.done;
		label.setAttribute("role", "status");
		clearTimeout(back);
		back = setTimeout(() => { label.textContent = usual; }, 2500);
	});

	const share = $("share");
	if (navigator.share) {
		share.hidden = false;
		copy.classList.remove("primary");
		share.addEventListener("click", async () => {
			try {
				// Only text, the link at its end: messengers double a url beside it.
				await navigator.share({ text: share.dataset.text });
			} catch (err) {
				if (err.name !== "AbortError") {
					share.hidden = true;
					copy.classList.add("primary");
				}
			}
		});
	}
	url.select();
}

/* A new link: the sentence that is always true */
const make = $("make");
if (make) {
	const sentence = $("sentence");
	const warning = $("warning");
	const go = $("go");
	let asked = 0;
	let warned = "";
	let timer;

	const sure = () => make.querySelector("[name=sure]");
	const unsure = () => {
		sure()?.remove();
		go.querySelector("span").textContent = go.dataset.make;
	};
	const show = (said) => {
		sentence.textContent = said.sentence || "";
		sentence.hidden = !said.sentence || !!said.warning;
		if (said.warning !== warned) unsure();
		warned = said.warning || "";
		warning.hidden = !warned;
		warning.querySelector("p").textContent = warned;
	};
	const preview = async () => {
		const mine = ++asked;
		const body = new URLSearchParams(new FormData(make));
		body.set("preview", "1");
		try {
			const answer = await fetch("new", { method: "POST", body });
			if (answer.ok && mine === asked) show(await answer.json());
		} catch {
			if (mine === asked) sentence.hidden = true;
		}
	};
	const later = () => {
		// What stands there may be true no longer.
		sentence.hidden = true;
		clearTimeout(timer);
		timer = setTimeout(preview, 250);
	};
	if (sure()) warned = warning.querySelector("p").textContent;
	make.addEventListener("input", later);
	make.addEventListener("change", later);
	make.addEventListener("submit", (event) => {
		if (warned && !sure()) {
			event.preventDefault();
			const field = document.createElement("input");
			field.type = "hidden";
			field.name = "sure";
			field.value = "1";
			make.append(field);
			go.querySelector("span").textContent = go.dataset.sure;
			return;
		}
		// One press, one link.
		if (make.dataset.sent) event.preventDefault();
		make.dataset.sent = "1";
	});
	window.addEventListener("pageshow", () => { delete make.dataset.sent; preview(); });

	for (const chips of make.querySelectorAll("[data-fill]")) {
		chips.hidden = false;
		chips.addEventListener("click", (event) => {
			const chip = event.target.closest("button");
			if (!chip) return;
			$(chips.dataset.fill).value = chip.textContent;
			preview();
		});
	}
}

/* An action: checked while it is written */
const edit = $("edit");
if (edit) {
	const yaml = $("definition");
	const verdict = $("verdict");
	const usual = verdict.textContent;
	let asked = 0;
	let timer;
	const check = async () => {
		const mine = ++asked;
		if (!yaml.value.trim()) {
			verdict.textContent = usual;
			return;
		}
		const body = new URLSearchParams(new FormData(edit));
		body.set("op", "check");
		try {
			const answer = await fetch("action", { method: "POST", body, headers: { Accept: "application/json" } });
			if (!answer.ok || mine !== asked) return;
			const said = await answer.json();
			const line = said.line ? verdict.dataset.line.replace("%", said.line) + " " : "";
			verdict.textContent = said.ok ? [verdict.dataset.good, ...(said.warnings || [])].join(" ") : line + (said.error || said.unchecked);
			yaml.toggleAttribute("aria-invalid", !!said.error);
			if (said.error) yaml.setAttribute("aria-invalid", "true");
		} catch {
			if (mine === asked) verdict.textContent = usual;
		}
	};
	yaml.addEventListener("input", () => {
		clearTimeout(timer);
		timer = setTimeout(check, 700);
	});
	// Tab indents, as in any editor; Escape first lets it leave the field.
	let leave = false;
	yaml.addEventListener("keydown", (event) => {
		if (event.key === "Escape") leave = true;
		else if (event.key === "Tab" && !event.shiftKey && !leave) {
			event.preventDefault();
			yaml.setRangeText("  ", yaml.selectionStart, yaml.selectionEnd, "end");
		} else leave = false;
	});
}

/* What happens meanwhile */
const live = document.querySelector("[data-live]");
if (live && window.EventSource) {
	const id = live.dataset.live;
	let stream;
	let timer;
	const refresh = async () => {
		try {
			const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
			if (!answer.ok) return;
			const page = new DOMParser().parseFromString(await answer.text(), "text/html");
			const fresh = live.id && page.getElementById(live.id);
			// Not under somebody's finger or focus.
			if (fresh && !live.contains(document.activeElement)) live.innerHTML = fresh.innerHTML;
		} catch {
			// The next event tries again.
		}
	};
	const listen = () => {
		if (stream || document.hidden) return;
		stream = new EventSource("api/events");
		for (const what of ["redemption", "refusal", "token_created", "token_changed", "token_revoked", "token_unrevoked", "token_replenished"]) {
			stream.addEventListener(what, (event) => {
				if (id && JSON.parse(event.data).token !== id) return;
				clearTimeout(timer);
				timer = setTimeout(refresh, 150);
			});
		}
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
