// What the pages of actions and of the log do better where scripts run.

const $ = (id) => document.getElementById(id);

const make = (tag, className, text) => {
	const el = document.createElement(tag);
	if (className) el.className = className;
	if (text) el.textContent = text;
	return el;
};

/* An action: checked while it is written, by the home */
const edit = $("edit");
if (edit) {
	const yaml = $("definition");
	const verdict = $("verdict");
	const usual = [...verdict.children];
	const result = $("result");

	// Numbers beside the lines, and a mark on the one that is wrong.
	const frame = make("div", "editor");
	const numbers = make("div", "numbers");
	const mark = make("div", "mark");
	numbers.setAttribute("aria-hidden", "true");
	mark.hidden = true;
	yaml.before(frame);
	frame.append(mark, numbers, yaml);
	let wrong = 0;
	const draw = () => {
		const n = yaml.value.split("\n").length;
		numbers.replaceChildren(...Array.from({ length: n }, (_, i) => make("span", i + 1 === wrong ? "wrong" : "", String(i + 1))));
		const height = parseFloat(getComputedStyle(yaml).lineHeight);
		const top = parseFloat(getComputedStyle(yaml).paddingTop) + yaml.clientTop;
		numbers.style.transform = `translateY(${-yaml.scrollTop}px)`;
		mark.hidden = !wrong || wrong > n;
		mark.style.height = `${height}px`;
		mark.style.transform = `translateY(${top + (wrong - 1) * height - yaml.scrollTop}px)`;
	};
	yaml.addEventListener("scroll", draw);
	new ResizeObserver(draw).observe(yaml);
	wrong = Number(verdict.dataset.at || 0);
	draw();

	const say = (...lines) => verdict.replaceChildren(...lines);
	let asked = 0;
	let timer;
	let stop;
	const field = (name) => edit.elements[name]?.value || "";
	const check = async () => {
		const mine = ++asked;
		stop?.abort();
		if (!yaml.value.trim()) {
			wrong = 0;
			yaml.removeAttribute("aria-invalid");
			draw();
			say(...usual);
			return;
		}
		stop = new AbortController();
		const slow = setTimeout(() => { if (mine === asked) say(make("p", "faint", verdict.dataset.busy)); }, 600);
		let said;
		try {
			const name = /^[a-z0-9_]{1,64}$/.test(field("name")) ? field("name") : "draft";
			const answer = await fetch(`api/actions/${name}/check`, {
				method: "POST",
				headers: { "Content-Type": "application/json" },
				body: JSON.stringify({ definition: yaml.value, home: field("home"), confirm: field("confirm"), icon: field("icon") }),
				signal: stop.signal,
			});
			said = await answer.json();
			if (!answer.ok && answer.status !== 503) said = { problem: { detail: said.detail, line: said.line } };
			else if (!answer.ok) said = { unchecked: true };
		} catch {
			said = { unchecked: true };
		} finally {
			clearTimeout(slow);
		}
		if (mine !== asked) return;
		wrong = said.problem?.line || 0;
		if (said.problem) yaml.setAttribute("aria-invalid", "true");
		else yaml.removeAttribute("aria-invalid");
		draw();
		if (said.unchecked) say(make("p", "", verdict.dataset.unchecked));
		else if (said.problem) {
			const line = make("p", "bad");
			if (wrong) line.append(make("strong", "", verdict.dataset.line.replace("%", wrong) + " "));
			line.append(said.problem.detail);
			say(line);
		} else say(make("p", "good", "✓ " + verdict.dataset.good), ...said.warnings.map((text) => make("p", "bad", text)));
	};
	const later = () => {
		clearTimeout(timer);
		timer = setTimeout(check, 400);
	};
	yaml.addEventListener("input", () => {
		// What was said above was said of another text. Its place stays: nothing jumps under who types.
		for (const notice of result.querySelectorAll(".notice:not(.stay)")) notice.style.visibility = "hidden";
		if (wrong) wrong = 0;
		draw();
		later();
	});
	edit.elements.home?.addEventListener?.("change", later);

	// Tab indents, as in any editor; Escape first lets it leave the field.
	let leave = false;
	yaml.addEventListener("keydown", (event) => {
		if (event.key === "Escape") leave = true;
		else if (event.key === "Tab" && !event.shiftKey && !leave) {
			event.preventDefault();
			yaml.setRangeText("  ", yaml.selectionStart, yaml.selectionEnd, "end");
			later();
		} else leave = false;
	});
	$("checkonly").hidden = true;

	// One row waits for a language; more come when they are asked for.
	const rows = () => $("languages").querySelectorAll(".row-language");
	const empty = (row) => [...row.querySelectorAll("input")].every((field) => !field.value);
	const more = $("morelanguages");
	const spare = rows()[rows().length - 1].cloneNode(true);
	if (rows().length > 1 && empty(rows()[rows().length - 2])) rows()[rows().length - 1].remove();
	more.hidden = false;
	more.addEventListener("click", () => {
		const row = spare.cloneNode(true);
		more.parentNode.before(row);
		row.querySelector("select").focus();
	});
	// What is written in a language is written as that language is.
	$("languages").addEventListener("change", (event) => {
		if (event.target.matches("select")) for (const field of event.target.closest(".row-language").querySelectorAll("input")) field.lang = event.target.value;
	});
}

/* As the guest sees it: which state it is */
for (const chip of document.querySelectorAll(".states [aria-current]")) chip.scrollIntoView({ block: "nearest", inline: "center" });

/* Choosing: found while it is typed */
const search = $("picksearch");
if (search) {
	const found = $("found");
	const q = $("q");
	let asked = 0;
	let timer;
	const find = async () => {
		const mine = ++asked;
		const to = "pick?" + new URLSearchParams(new FormData(search));
		try {
			const answer = await fetch(to, { headers: { Accept: "text/html" } });
			if (!answer.ok || mine !== asked) return;
			const page = new DOMParser().parseFromString(await answer.text(), "text/html");
			const fresh = page.getElementById("found");
			if (fresh && mine === asked) {
				found.replaceChildren(...fresh.childNodes);
				history.replaceState(null, "", to);
			}
		} catch {
			// The button searches, too.
		}
	};
	q.addEventListener("input", () => {
		clearTimeout(timer);
		timer = setTimeout(find, 150);
	});
}

/* The log: what happens, as it happens */
const rows = $("rows");
if (rows?.dataset.after && window.EventSource) {
	const follows = $("follows");
	const label = follows.querySelector("span");
	$("logbox").setAttribute("role", "log");
	let last = rows.dataset.after;
	let stream;
	let timer;
	let busy = false;
	let again = false;
	const newest = () => Math.max(0, ...[...rows.querySelectorAll("[data-seq]")].map((row) => Number(row.dataset.seq)));
	const refresh = async () => {
		if (busy) {
			again = true;
			return;
		}
		busy = true;
		try {
			const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
			if (!answer.ok) return;
			const page = new DOMParser().parseFromString(await answer.text(), "text/html");
			const seen = newest();
			// Entries do not change: only the new ones come in, on top.
			const fresh = [...page.querySelectorAll("#rows [data-seq]")].filter((row) => Number(row.dataset.seq) > seen);
			if (fresh.length) rows.querySelector(".none")?.remove();
			for (const row of fresh) row.classList.add("fresh");
			rows.prepend(...fresh);
		} catch {
			// The next event tries again.
		} finally {
			busy = false;
			if (again) {
				again = false;
				refresh();
			}
		}
	};
	const state = (live) => {
		follows.hidden = false;
		follows.classList.toggle("lost", !live);
		label.textContent = live ? follows.dataset.live : follows.dataset.lost;
	};
	const listen = () => {
		if (stream || document.hidden) return;
		// From where the page ends; after a break the browser resumes by itself.
		stream = new EventSource("api/events?after=" + last);
		stream.addEventListener("open", () => state(true));
		stream.addEventListener("error", () => state(false));
		for (const what of rows.dataset.events.split(" ")) {
			stream.addEventListener(what, (event) => {
				last = event.lastEventId || last;
				clearTimeout(timer);
				timer = setTimeout(refresh, 60);
			});
		}
	};
	const leave = () => {
		stream?.close();
		stream = null;
	};
	document.addEventListener("visibilitychange", () => document.hidden ? leave() : listen());
	window.addEventListener("pagehide", leave);
	window.addEventListener("pageshow", listen);
	listen();
}
