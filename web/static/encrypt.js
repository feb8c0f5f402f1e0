// Encrypts text and files in the reporter's browser to the team's key, as one
// MIME message, so that file names are inside too. It says "encrypted in your
// browser" only once library and key are here and the key has the fingerprint
// the page shows; until then, and without it, the form works as it stands.
const form = document.querySelector('form[data-encrypt]');
const $ = (id) => document.getElementById(id);
const skipped = new Set(['key', 'code', 'do', 'armored', 'files', 'name', 'address', 'own_key']);
const crlf = (text) => text.replace(/\r\n|\r|\n/g, '\r\n');
let ready = null, failed = false, sent = false;

function say(text) { $('encrypt-status').textContent = text; }
function claim(browser) {
	$('protected-browser').hidden = !browser;
	$('protected-sealed').hidden = browser;
}

async function prepare() {
	const [pgp, armored] = await Promise.all([
		import(form.dataset.library),
		fetch(form.dataset.key, { credentials: 'omit', referrerPolicy: 'no-referrer' }).then((r) => {
			if (!r.ok) throw new Error('no key');
			return r.text();
		}),
	]);
	const key = await pgp.readKey({ armoredKey: armored });
	const shown = form.dataset.fingerprint.replace(/\s/g, '').toLowerCase();
	if (key.getFingerprint().toLowerCase() !== shown) throw Object.assign(new Error('other key'), { mismatch: true });
	await key.getEncryptionKey();
	claim(true);
	return { pgp, key };
}

function start() {
	ready ??= prepare();
	ready.catch(() => claim(false));
	return ready;
}

// encoded is a header's text as RFC 2047 has it, where it is not plain ASCII.
function encoded(text) {
	if (/^[\x20-\x7e]*$/.test(text) && !/["\\<>@,;:]/.test(text)) return text;
	const bytes = new TextEncoder().encode(text.replace(/[\r\n]+/g, ' '));
	const words = [];
	for (let i = 0; i < bytes.length;) {
		let end = Math.min(i + 42, bytes.length);
		while (end < bytes.length && (bytes[end] & 0xc0) === 0x80) end--;
		words.push('=?utf-8?B?' + btoa(String.fromCharCode(...bytes.subarray(i, end))) + '?=');
		i = end;
	}
	return words.join('\r\n ');
}

function sections() {
	const parts = [];
	for (const f of form.querySelectorAll('textarea, input[type=text]')) {
		if (skipped.has(f.name) || !f.value.trim()) continue;
		const label = form.querySelector(`label[for="${f.id}"]`);
		const heading = label ? label.firstChild.textContent.trim() : f.name;
		parts.push(parts.length === 0 ? f.value : `${heading}\n\n${f.value}`);
	}
	return crlf(parts.join('\n\n'));
}

async function message() {
	const edge = 'postern-' + [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('');
	const value = (name) => (form.elements[name]?.value || '').trim();
	const pieces = ['MIME-Version: 1.0\r\n'];
	if (/^[\x21-\x7e]+@[\x21-\x7e]+$/.test(value('address'))) {
		pieces.push(`From: ${encoded(value('name'))} <${value('address').replace(/[<>]/g, '')}>\r\n`);
	}
	pieces.push(`Content-Type: multipart/mixed; boundary="${edge}"\r\n\r\n`);
	const part = (head, body) => pieces.push(`--${edge}\r\n${head}\r\n\r\n`, body, '\r\n');
	let text = sections();
	if (value('name') && !value('address')) text += `\r\n\r\n${value('name')}`;
	part('Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit', text);
	if (value('own_key')) part('Content-Type: application/pgp-keys\r\nContent-Transfer-Encoding: 8bit', crlf(value('own_key')));
	const files = [...(form.elements.files?.files || [])];
	for (const [i, file] of files.entries()) {
		say(`${form.status.reading} (${i + 1}/${files.length})`);
		$('encrypt-progress').value = 50 * i / files.length;
		const name = encodeURIComponent(file.name).replace(/['()*]/g, (c) => '%' + c.charCodeAt(0).toString(16).toUpperCase());
		part(`Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename*=UTF-8''${name}\r\nContent-Transfer-Encoding: binary`,
			new Uint8Array(await file.arrayBuffer()));
	}
	pieces.push(`--${edge}--\r\n`);
	return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

function only(names) {
	for (const f of form.elements) if (f.name) f.disabled = names !== null && !names.has(f.name);
}

async function send(tools) {
	form.status = $('encrypt-status').dataset;
	$('encrypt-progress').hidden = false;
	const binary = await message();
	say(form.status.encrypting);
	$('encrypt-progress').value = 60;
	const { pgp, key } = tools;
	const armored = await pgp.encrypt({ message: await pgp.createMessage({ binary }), encryptionKeys: key });
	$('encrypt-progress').value = 90;
	say(form.status.sending.replace('%s', `${Math.max(1, Math.round(armored.length / 1024))} KiB`));
	form.elements.armored.value = armored;
	only(new Set(['key', 'code', 'do', 'armored']));
	sent = true;
	form.submit();
}

function isArmored() {
	const text = (form.elements.description || form.elements.text).value.trim();
	return text.startsWith('-----BEGIN PGP ');
}

async function submit(e) {
	if (failed || isArmored()) return;
	e.preventDefault();
	if (form.dataset.busy) return;
	form.dataset.busy = 'yes';
	let tools = null;
	try {
		tools = await start();
		await send(tools);
	} catch (problem) {
		delete form.dataset.busy;
		$('encrypt-progress').hidden = true;
		only(null);
		if (problem.mismatch) {
			say($('encrypt-status').dataset.mismatch);
			return;
		}
		failed = true;
		claim(false);
		say(tools ? $('encrypt-status').dataset.failed : $('encrypt-status').dataset.fails);
		// Where the page never claimed more than sealing, nothing is taken back
		// by sending as it said; else the reporter decides.
		if (!tools) form.requestSubmit();
	}
}

if (form && form.dataset.library && globalThis.crypto?.subtle) {
	form.addEventListener('focusin', () => { start().catch(() => {}); }, { once: true });
	form.addEventListener('submit', submit);
	addEventListener('pageshow', () => {
		if (!sent) return;
		sent = false;
		delete form.dataset.busy;
		only(null);
		form.elements.armored.value = '';
		$('encrypt-progress').hidden = true;
		say('');
	});
}
