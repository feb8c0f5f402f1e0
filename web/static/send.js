// Sends a form without leaving the page until there is an answer: it says how
// far reading, encrypting and sending are, can be stopped, and keeps what was
// typed and chosen whatever happens. Sent again unchanged it sends the very
// same bytes under the same key, so that nothing is ever stored twice. Without
// this script the browser sends the form by itself.
let form = null, words = null, tools = null, pending = null, task = null, plain = false, dirty = false;
const $ = (id) => document.getElementById(id);
const size = (n) => n < 1 << 20 ? `${Math.max(1, Math.round(n / 1024))} KiB` : `${(n / (1 << 20)).toFixed(1)} MiB`;
const fill = (text, ...values) => values.reduce((t, v) => t.replace('%s', v), text);

function say(text) { $('send-status').textContent = text; }

// show moves the bar, and says it in words at every tenth.
function show(done, all, text) {
	const percent = Math.floor(100 * done / Math.max(all, 1)), bar = $('send-progress');
	bar.value = percent;
	if (percent - Number(bar.dataset.said) < 10 && percent < 100) return;
	bar.dataset.said = percent;
	say(fill(text, percent, size(done), size(all)));
}

function claim(browser) {
	$('protected-browser').hidden = !browser;
	$('protected-sealed').hidden = browser;
}

function prepare() {
	if (!form.dataset.encrypt || !globalThis.crypto?.subtle) return Promise.resolve(null);
	const of = form;
	tools ??= import(of.dataset.encrypt).then(async (module) => ({ module, ready: await module.prepare(of) }));
	tools.then(() => { if (!plain) claim(true); }, () => claim(false));
	return tools;
}

const input = (name) => [...form.elements].find((f) => f.name === name);
const typed = () => input('description') || input('text');
const files = () => [...(input('files')?.files || [])];
const whole = () => typed().value.trim().startsWith('-----BEGIN PGP ');

// state tells one filled-in form from another.
function state() {
	return JSON.stringify([plain, [...form.elements].filter((f) => f.name && f.type !== 'file').map((f) => [f.name, f.value]),
		files().map((f) => [f.name, f.size, f.lastModified])]);
}

// check finds what can be found here, all at once, in the words the server has.
function check() {
	const found = [], at = (field, text) => { if (input(field) && text) found.push({ field, text }); };
	const address = (input('address')?.value || '').trim(), key = (input('own_key')?.value || '').trim();
	if (!typed().value.trim() && (typed().required || files().length === 0)) at(typed().name, words.empty);
	if (address && !/^[^\s,;<>"\\@]+@[^\s,;<>"\\@]+$/.test(address)) at('address', words.address);
	const sum = files().reduce((n, f) => n + f.size, 0);
	if (sum > Number(form.dataset.max)) at('files', fill(words.large, size(sum)));
	if (key && !key.includes('-----BEGIN PGP PUBLIC KEY BLOCK-----')) at('own_key', words.ownKey);
	return found;
}

function clearFaults() {
	for (const box of document.querySelectorAll('main > .faults')) box.remove();
	for (const p of form.querySelectorAll('.fault')) p.remove();
	for (const f of form.querySelectorAll('.has-fault')) f.classList.remove('has-fault');
	for (const f of form.querySelectorAll('[aria-invalid]')) {
		f.removeAttribute('aria-invalid');
		f.setAttribute('aria-describedby', `${f.id}-hint`);
	}
}

const make = (tag, props, ...inside) => {
	const e = Object.assign(document.createElement(tag), props);
	e.append(...inside);
	return e;
};

// complain puts the summary on top and each fault at its field.
function complain(found) {
	clearFaults();
	const list = make('ul', {});
	for (const { field, text } of found) {
		list.append(make('li', {}, field ? make('a', { href: `#${field}` }, text) : text));
		const control = field && $(field);
		if (!control) continue;
		const p = make('p', { className: 'fault', id: `${field}-fault` }, make('span', { className: 'visually-hidden' }, `${words.fault} `), text);
		control.before(p);
		control.closest('.field')?.classList.add('has-fault');
		for (let e = control; e; e = e.parentElement) if (e.tagName === 'DETAILS') e.open = true;
		control.setAttribute('aria-invalid', 'true');
		control.setAttribute('aria-describedby', `${$(field + '-hint') ? field + '-hint ' : ''}${p.id}`);
	}
	const title = found.length === 1 ? words.faultOne : words.faultMany.replace('%d', found.length);
	const box = make('div', { className: 'faults', id: 'faults', tabIndex: -1 }, make('h2', {}, title), list);
	box.setAttribute('role', 'alert');
	document.querySelector('main h1').after(box);
	box.focus();
}

// retell shows what the server found wrong; the form stays as it was filled in.
function retell(answer) {
	const boxes = [...answer.querySelectorAll('main > .faults')];
	if (boxes.length === 0) return false;
	if (answer.getElementById('secret-key')) {
		form.reset();
		document.dispatchEvent(new Event('postern:secret'));
	}
	const found = [...answer.querySelectorAll('#faults li')].map((li) => ({
		field: li.querySelector('a')?.getAttribute('href').slice(1) || '', text: li.textContent.trim() }));
	if (found.length > 0) {
		complain(found);
		return true;
	}
	clearFaults();
	for (const box of boxes.reverse()) document.querySelector('main h1').after(document.adoptNode(box));
	const first = document.querySelector('main > .faults');
	first.tabIndex = -1;
	first.focus();
	return true;
}

// post sends and waits for the answer, parsed into a document that runs nothing.
function post(data, signal) {
	return new Promise((done) => {
		const request = new XMLHttpRequest();
		let all = false;
		request.open('POST', form.action);
		request.responseType = 'document';
		request.upload.onprogress = (e) => { if (e.lengthComputable) show(e.loaded, e.total, words.sending); };
		request.upload.onload = () => {
			all = true;
			$('send-stop').hidden = true;
			say(words.waiting);
		};
		signal.addEventListener('abort', () => request.abort());
		request.onloadend = () => done({ status: request.status, page: request.status ? request.response : null, all });
		request.send(data);
	});
}

async function body(signal) {
	if (pending && pending.state === state()) return pending.data;
	pending = null;
	let data = new FormData(form);
	if (!plain && !whole() && form.dataset.encrypt) {
		const { module, ready } = await prepare();
		const armored = await module.seal(ready, form, (done, all) => show(done, all, words.encrypting), signal);
		data = new FormData();
		for (const name of ['key', 'code', 'do']) if (input(name)) data.append(name, input(name).value);
		data.append('armored', armored);
	}
	pending = { state: state(), data };
	$('send-progress').dataset.said = -10;
	return data;
}

function busy(on) {
	const button = form.querySelector('[type=submit]');
	for (const f of form.querySelectorAll('.field, .more, .draft')) f.inert = on;
	button.hidden = on;
	$('send-stop').hidden = !on;
	$('send-progress').hidden = !on;
	$('send-progress').value = 0;
	$('send-progress').dataset.said = -10;
	if (!on) return;
	say(words.starting);
	$('send-stop').focus();
}

// again says what went wrong and what to press; nothing typed is lost.
function again(text, label = words.again) {
	say(text);
	const button = form.querySelector('[type=submit]');
	button.textContent = label;
	button.focus();
}

// arrive puts the answer in this page's place: the address stays, and what the
// answer says is in no history.
function arrive(answer) {
	pending = null;
	dirty = false;
	document.dispatchEvent(new Event('postern:sent'));
	const fresh = document.adoptNode(answer.querySelector('main'));
	document.querySelector('main').replaceWith(fresh);
	document.title = answer.title;
	form = null;
	scrollTo(0, 0);
	const title = fresh.querySelector('h1');
	title.tabIndex = -1;
	title.focus();
	fresh.dispatchEvent(new Event('postern:refreshed', { bubbles: true }));
	for (const script of answer.querySelectorAll('script[type=module]')) import(script.getAttribute('src'));
	bind();
}

function answered({ status, page, all }) {
	if (status >= 200 && status < 300 && page?.querySelector('main')) return arrive(page);
	if (status >= 400 && status < 500) pending = null; // another try needs another form
	if (status === 422) tools = null; // the key may be a new one
	if (page && retell(page)) {
		say('');
		if (status >= 500) form.querySelector('[type=submit]').textContent = words.again;
		return;
	}
	if (status === 0) again(all ? words.doubt : words.broken);
	else again(fill(status >= 500 ? words.doubt : words.refused, status));
}

async function send() {
	const stop = new AbortController();
	task = stop;
	busy(true);
	try {
		const data = await body(stop.signal);
		stop.signal.throwIfAborted();
		const answer = await post(data, stop.signal);
		busy(false);
		task = null;
		if (stop.signal.aborted) again(words.stopped);
		else answered(answer);
	} catch (problem) {
		busy(false);
		task = null;
		const claimed = !$('protected-browser').hidden;
		if (stop.signal.aborted) return again(words.stopped);
		if (problem.mismatch) return say(words.mismatch);
		if (problem.unread) return again(words.unread);
		plain = true;
		claim(false);
		// Where the page never claimed more than sealing, nothing is taken back
		// by sending as it said; else the reporter decides.
		if (claimed) return again(words.failed, words.anyway);
		say(words.fails);
		await send();
	}
}

function submit(e) {
	e.preventDefault();
	if (task) return;
	const found = check();
	if (found.length > 0) return complain(found);
	clearFaults();
	send();
}

function bind() {
	form = document.querySelector('form[data-send]');
	if (!form || !$('send-status')) return;
	words = $('send-status').dataset;
	form.noValidate = true; // every fault at once, on top and at its field
	form.addEventListener('focusin', () => { prepare().catch(() => {}); }, { once: true });
	form.addEventListener('submit', submit);
	form.addEventListener('input', () => { dirty = true; });
	$('send-stop').addEventListener('click', () => task?.abort());
}

addEventListener('beforeunload', (e) => {
	if (task || dirty && form && typed()?.value && !form.dataset.kept) e.preventDefault();
});
bind();
