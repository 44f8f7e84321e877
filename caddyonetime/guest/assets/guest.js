// The page works without any of this: by forms, a redirect and a result page.
// With it, nothing has to be loaded anew, and a press survives a bad line.
// W, the words of the page's language, stands before this in the file.

const $ = (selector, from = document) => from.querySelector(selector);
const all = (selector, from = document) => [...from.querySelectorAll(selector)];
const time = () => performance.now();

let main = $('main');
let state = main.dataset.state;
let mark = signature(main); // tells whether the server says something new
let skew;                   // of the server's clock to performance.now()
let busy = false;           // from a press to its outcome
let guard = 0;              // taps before this are ignored
let since = time();         // of the present state, or of coming back to it
let poll, shut, lock;

const now = () => time() + skew;
const calm = () => matchMedia('(prefers-reduced-motion: reduce)').matches;
const buzz = pattern => { if (navigator.vibrate && !calm()) navigator.vibrate(pattern); };
const pause = ms => new Promise(done => setTimeout(done, ms));
const digits = text => W.digits ? text.replace(/\d/g, d => W.digits[d]) : text;
const fill = (text, values) => digits(text.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all));

function say(text) { $('#say').textContent = text; }

function make(tag, className, text) {
	const e = document.createElement(tag);
	e.className = className;
	e.textContent = text;
	return e;
}

// What is the same in two answers but for keys and running clocks is the same.
function signature(from) {
	const copy = from.cloneNode(true);
	all('[name=nonce]', copy).forEach(e => e.removeAttribute('value'));
	all('[data-until]', copy).forEach(e => { e.textContent = ''; });
	return copy.dataset.state + copy.dataset.poll + copy.innerHTML;
}

// Which actions the page is about, as they are.
const about = from => all('[name=revision]', from).map(e => e.value).join();

function newKey() {
	const bytes = crypto.getRandomValues(new Uint8Array(16));
	return Array.from(bytes, b => b.toString(16).padStart(2, '0')).join('');
}

// --- what a page gets when it is shown

function dress() {
	skew = +main.dataset.now - time();
	all('.nojs', main).forEach(e => { e.hidden = true; });
	all('.js', main).forEach(e => { e.hidden = false; });
	all('time', main).forEach(phoneTime);
	all('.fold', main).forEach(fold => {
		const said = $('.said', fold);
		if (said.scrollHeight <= said.clientHeight + 1) $('.more', fold).hidden = true;
	});
	all('[data-wait]', main).forEach(holdBack);
	all('[data-late]', main).forEach(e => {
		e.className += ' late'; // it keeps its place: nothing moves under a finger
		setTimeout(() => { e.classList.remove('late'); guard = time() + 700; }, 3000);
	});
	online();
	tick();
	plan();
}

// A phone that has just landed shows another time than the home's.
function phoneTime(e) {
	const span = $('span', e) || e.appendChild(make('span', '', '')), iso = e.getAttribute('datetime');
	const offset = /([+-])(\d\d):(\d\d)$/.exec(iso);
	const home = offset ? (offset[1] === '-' ? -1 : 1) * (60 * offset[2] + +offset[3]) : 0;
	const here = new Date(iso);
	if (-here.getTimezoneOffset() === home) { span.remove(); return; }
	span.textContent = ' ' + fill(W.on_phone, {
		// Browsers write "11:00 PM", the page "11:00 pm".
		time: here.toLocaleTimeString(document.documentElement.lang, {hour: 'numeric', minute: '2-digit'})
			.replace(/\s?[AP]M$/, (m) => '\u00a0' + m.trim().toLowerCase()),
	});
	span.className = 'shown';
}

// A button that would be of no use yet gives its place to a count-down.
function holdBack(e) {
	const until = +e.dataset.wait;
	if (until <= now()) return;
	const form = e.matches('form');
	const text = (form ? W.go_on : W.again).split('{in}');
	const wait = make('p', 'instead', ''), count = make('b', '', ''), line = make('span', '', text[0]);
	count.dataset.until = until;
	line.append(count, text[1] || '');
	wait.append(line);
	wait.setAttribute('aria-hidden', 'true');
	const inside = form ? [$('button', e)] : [...e.children];
	inside.forEach(c => { c.hidden = true; });
	e.append(wait);
	wait.hold = () => {
		wait.remove();
		inside.forEach(c => { c.hidden = false; });
		guard = time() + 700;
	};
}

function duration(ms) {
	const s = Math.max(0, Math.ceil(ms / 1000));
	if (s < 60) return fill(W.in[0], {s});
	const m = Math.ceil(s / 60), h = Math.floor(m / 60);
	if (!h) return fill(W.in[1], {m});
	return fill(W.in[m % 60 ? 3 : 2], {h, m: m % 60});
}

const told = {};

function tick() {
	for (const e of all('[data-until]', main)) {
		const left = e.dataset.until - now();
		if (left < 864e5) {
			const text = duration(left);
			if (e.textContent !== text) e.textContent = text;
		}
		const wait = e.closest('.instead'), hold = wait && wait.hold;
		if (left > 0) {
			if (state !== 'scheduled') continue;
			if (left < 12e4) stayAwake();
			for (const [i, m] of [[0, 1], [1, 10]]) {
				const key = e.dataset.until + m;
				if (left <= m * 6e4 && left > m * 6e4 - 2e3 && !told[key]) {
					told[key] = true;
					say(fill(W.spoken[i], {n: m}));
				}
			}
		} else if (hold) {
			hold();
		} else if (!told[e.dataset.until]) {
			told[e.dataset.until] = true;
			setTimeout(refresh, 50);
			setTimeout(refresh, 1500);
		}
	}
}
setInterval(tick, 1000);

// --- asking again

function plan() {
	clearTimeout(poll);
	const age = time() - since, how = main.dataset.poll;
	if (!how || document.hidden || age > 36e5) return;
	poll = setTimeout(refresh, how === 'slow' ? 6e4 : age < 12e4 ? 5e3 : 3e4);
}

async function refresh() {
	if (busy || document.hidden) return;
	if ($('form.code', main)) return plan();
	try {
		const page = await read(await fetch(location.href, {headers: {Accept: 'text/html'}, cache: 'no-store'}));
		// Not under the finger that is about to say yes, unless to something else.
		if (!busy && (!$('.ask[open]', main) || about(page.main) !== about(main))) show(page, false);
	} catch (e) {
		online();
	}
	plan();
}

async function read(response) {
	const page = new DOMParser().parseFromString(await response.text(), 'text/html');
	const fresh = $('main[data-state]', page);
	if (!fresh) throw new Error('not our page');
	return {main: fresh, url: response.redirected ? response.url : ''};
}

function show(page, pressed) {
	const fresh = signature(page.main), before = state;
	if (page.url) history.replaceState(null, '', page.url);
	if (fresh === mark && !pressed) {
		main.dataset.now = page.main.dataset.now;
		skew = +main.dataset.now - time();
		online();
		return;
	}
	const focused = main.contains(document.activeElement), other = about(main) && about(page.main) && about(main) !== about(page.main);
	const asked = $('.ask[open]', main);
	clearTimeout(shut);
	main.replaceWith(page.main);
	main = page.main;
	mark = fresh;
	state = main.dataset.state;
	since = time();
	guard = since + 700;
	dress();
	const heading = $('h1', main);
	if (pressed || focused) heading.focus({preventScroll: !pressed});
	if (pressed) {
		scrollTo(0, 0);
		if (state === 'done') buzz([30, 60, 30]);
		else if (state !== 'running') buzz(200);
	} else if (before === 'scheduled' && state === 'ready') {
		const line = make('p', 'note', W.now);
		$('header', main).append(line);
		say(W.now);
		buzz(30);
	} else if (before !== state) {
		say(heading.textContent);
	} else if (other) {
		say(W.changed);
		if (asked) $('.dock', main).prepend(make('p', 'note', W.changed));
	}
}

function online() {
	const line = $('.offline', main);
	if (navigator.onLine !== false) {
		if (line) line.remove();
	} else if (!line && $('[data-press]', main)) {
		const note = make('p', 'note offline', W.offline);
		note.setAttribute('role', 'alert');
		$('.dock', main).prepend(note);
	}
}

// --- pressing

function headline(text, icon) {
	all('header > p:not(.house), header > figure', main).forEach(e => e.remove());
	const heading = $('h1', main), sign = make('p', 'mark', ''), line = make('p', '', '');
	heading.textContent = text;
	sign.innerHTML = icon;
	heading.before(sign);
	heading.after(line);
	return line;
}

function working(form) {
	const item = form.closest('.item');
	main.className = main.dataset.state = state = 'working';
	const line = headline(W.moment, '<i class="turn"></i>');
	line.setAttribute('role', 'status');
	all('.note, .limits, .hint, .left', main).forEach(e => e.remove());
	all('.item', main).forEach(e => { if (e !== item) e.hidden = true; });
	const button = make('button', 'go busy', W.working);
	button.type = 'button';
	button.setAttribute('aria-disabled', 'true');
	item.replaceChildren(button);
	button.focus({preventScroll: true});
	return line;
}

// One press, one key. It is sent again only while the page is seen, and only
// within 20 seconds: no door opens when the phone finds a signal in a pocket.
async function press(url, action, revision, key, form) {
	if (busy) return;
	busy = true;
	clearTimeout(poll);
	clearTimeout(shut);
	buzz(10);
	stayAwake();
	const pressed = time(), line = working(form);
	say(W.moment);
	const timers = [
		setTimeout(() => { line.textContent = W.some; }, 3e3),
		setTimeout(() => { line.textContent = W.wait; }, 1e4),
	];
	let page;
	for (let first = true; !page && (first || time() - pressed < 2e4); first = false) {
		if (!first) {
			await pause(1000);
			if (document.hidden) continue;
		}
		const abort = new AbortController(), over = setTimeout(() => abort.abort(), 35e3);
		try {
			page = await read(await fetch(url, {
				method: 'POST',
				headers: {Accept: 'text/html'},
				body: new URLSearchParams({action, revision, nonce: key}),
				cache: 'no-store',
				signal: abort.signal,
			}));
			// The same press twice is one press to whoever made it.
			if (/[?&]again\b/.test(page.url)) {
				page = await read(await fetch(page.url.replace(/&again\b/, ''), {headers: {Accept: 'text/html'}, signal: abort.signal}));
				page.url = '';
			}
		} catch (e) {
			page = null;
			timers.forEach(clearTimeout);
			line.textContent = W.trying;
		}
		clearTimeout(over);
	}
	timers.forEach(clearTimeout);
	busy = false;
	sleep();
	if (page) show(page, true);
	else lost(url, action, revision, key);
	plan();
}

function lost(url, action, revision, key) {
	state = main.dataset.state = 'lost';
	main.dataset.poll = '';
	const line = headline(W.lost, W.away);
	line.setAttribute('role', 'alert');
	line.textContent = W.unsure;
	const button = make('button', 'go', W.press);
	button.type = 'button';
	button.onclick = () => press(url, action, revision, key, button);
	$('.busy', main).replaceWith(button);
	$('h1', main).focus();
	guard = time() + 700;
	buzz(200);
}

async function stayAwake() {
	if (lock || !navigator.wakeLock) return;
	try {
		lock = true;
		lock = await navigator.wakeLock.request('screen');
		setTimeout(() => { if (state !== 'scheduled') sleep(); }, 6e4);
	} catch (e) {
		lock = null;
	}
}

function sleep() {
	if (lock && lock.release) lock.release();
	lock = null;
}

// --- events

addEventListener('click', e => {
	if (time() < guard || busy) {
		if (e.target.closest('a[href]') && busy) return;
		e.preventDefault();
		e.stopPropagation();
	} else if (!e.target.closest('.ask') || e.target.matches('.ask')) {
		all('.ask[open]', main).forEach(d => { d.open = false; });
	}
}, true);

addEventListener('submit', e => {
	const form = e.target;
	if (!('press' in form.dataset)) return;
	e.preventDefault();
	if (busy || time() < guard) return;
	const value = name => form.elements.namedItem(name).value;
	press(form.getAttribute('action'), value('action'), value('revision'), newKey(), form);
});

addEventListener('toggle', e => {
	const d = e.target;
	if (!d.matches || !d.matches('.ask')) return;
	clearTimeout(shut);
	guard = time() + 700;
	if (!d.open) return;
	all('.ask[open]', main).forEach(o => { if (o !== d) o.open = false; });
	shut = setTimeout(() => { d.open = false; }, 15e3);
}, true);

addEventListener('keydown', e => {
	if (e.key !== 'Escape') return;
	all('.ask[open]', main).forEach(d => { d.open = false; });
});

function back() {
	if (document.hidden) { clearTimeout(poll); sleep(); return; }
	if (state === 'working' || state === 'lost') return;
	since = time();
	refresh();
}
document.addEventListener('visibilitychange', back);
addEventListener('pageshow', e => { if (e.persisted) back(); });
addEventListener('online', () => { online(); back(); });
addEventListener('offline', online);

dress();
