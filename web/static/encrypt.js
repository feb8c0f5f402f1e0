// Encrypts a form's text and files in the reporter's browser to the team's key,
// as one MIME message, so that file names are inside too. Files are read and
// encrypted piece by piece, so that the page goes on answering. send.js says
// what is encrypted, and only once prepare has found library and key here, and
// the key to have the fingerprint the page shows.
const mine = new Set(['key', 'code', 'do', 'files', 'name', 'address', 'own_key']);
const pieceSize = 256 << 10;
const crlf = (text) => text.replace(/\r\n|\r|\n/g, '\r\n');

// prepare brings library and key; its error has mismatch where the key is
// another than the page shows.
export async function prepare(form) {
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
	return { pgp, key };
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

// sections is the text: the first field as it stands, the others under their labels.
function sections(form) {
	const parts = [];
	for (const f of form.querySelectorAll('textarea, input[type=text]')) {
		if (mine.has(f.name) || !f.value.trim()) continue;
		const label = form.querySelector(`label[for="${f.id}"]`);
		const heading = label ? label.firstChild.textContent.trim() : f.name;
		parts.push(parts.length === 0 ? f.value : `${heading}\n\n${f.value}`);
	}
	return crlf(parts.join('\n\n'));
}

// message is the plaintext. A Blob holds files by reference: nothing is read yet.
function message(form) {
	const edge = 'postern-' + [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('');
	const value = (name) => (form.elements[name]?.value || '').trim();
	const pieces = ['MIME-Version: 1.0\r\n'];
	if (/^[\x21-\x7e]+@[\x21-\x7e]+$/.test(value('address'))) {
		pieces.push(`From: ${encoded(value('name'))} <${value('address').replace(/[<>]/g, '')}>\r\n`);
	}
	pieces.push(`Content-Type: multipart/mixed; boundary="${edge}"\r\n\r\n`);
	const part = (head, body) => pieces.push(`--${edge}\r\n${head}\r\n\r\n`, body, '\r\n');
	let text = sections(form);
	if (value('name') && !value('address')) text += `\r\n\r\n${value('name')}`;
	part('Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit', text);
	if (value('own_key')) part('Content-Type: application/pgp-keys\r\nContent-Transfer-Encoding: 8bit', crlf(value('own_key')));
	for (const file of form.elements.files?.files || []) {
		const name = encodeURIComponent(file.name).replace(/['()*]/g, (c) => '%' + c.charCodeAt(0).toString(16).toUpperCase());
		part(`Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename*=UTF-8''${name}\r\nContent-Transfer-Encoding: binary`, file);
	}
	pieces.push(`--${edge}--\r\n`);
	return new Blob(pieces);
}

// seal gives the armored message as a Blob. progress hears how many bytes of
// how many are done; signal stops it between two pieces. Where a file cannot
// be read the error has unread.
export async function seal({ pgp, key }, form, progress, signal) {
	const plain = message(form);
	let at = 0;
	const source = new ReadableStream({
		async pull(controller) {
			signal.throwIfAborted();
			if (at >= plain.size) return controller.close();
			let bytes;
			try {
				bytes = await plain.slice(at, at + pieceSize).arrayBuffer();
			} catch (problem) {
				throw Object.assign(problem, { unread: true });
			}
			at += bytes.byteLength;
			controller.enqueue(new Uint8Array(bytes));
			progress(at, plain.size);
		},
	}, { highWaterMark: 0 });
	const armored = await pgp.encrypt({ message: await pgp.createMessage({ binary: source }), encryptionKeys: key });
	// Armor comes a line at a time; a Blob of a million lines would take seconds.
	const out = [];
	let lines = '';
	for (const reader = armored.getReader(); ;) {
		const { done, value } = await reader.read();
		if (done) return new Blob([...out, lines]);
		lines += value;
		if (lines.length < pieceSize) continue;
		out.push(new Blob([lines]));
		lines = '';
	}
}
