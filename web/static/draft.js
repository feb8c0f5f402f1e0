// Keeps a draft of the report in this browser, from the press of a button until
// it is sent or forgotten. Before that press nothing is written.
const form = document.getElementById('form-report');
const frame = document.getElementById('draft');
const key = 'postern-draft';
let timer;

function storage() {
	try { return globalThis.localStorage; } catch { return null; }
}

const store = storage();
const fields = () => [...form.querySelectorAll('textarea, input[type=text], input[type=email]')];

function kept() {
	try { return JSON.parse(store.getItem(key)); } catch { return null; }
}

function keep() {
	try {
		store.setItem(key, JSON.stringify(Object.fromEntries(fields().map((f) => [f.name, f.value]))));
		return true;
	} catch {
		return false; // full, or not allowed: the text is still in the form
	}
}

function show(on, text) {
	if (on) form.dataset.kept = 'yes';
	else delete form.dataset.kept;
	document.getElementById('draft-keep').hidden = on;
	document.getElementById('draft-forget').hidden = !on;
	document.getElementById('draft-state').textContent = text;
}

function forget() {
	clearTimeout(timer);
	try { store.removeItem(key); } catch { /* nothing was kept */ }
}

if (form && frame && store) {
	const { hint, on, back, forgotten, failed } = frame.dataset;
	frame.hidden = false;
	const draft = kept();
	if (draft) {
		for (const f of fields()) {
			if (!f.value && draft[f.name]) f.value = draft[f.name];
			if (f.value) for (let e = f; e; e = e.parentElement) if (e.tagName === 'DETAILS') e.open = true;
		}
	}
	show(Boolean(draft), draft ? back : hint);
	document.getElementById('draft-keep').addEventListener('click', () => {
		const done = keep();
		show(done, done ? on : failed);
		if (done) document.getElementById('draft-forget').focus();
	});
	document.getElementById('draft-forget').addEventListener('click', () => {
		forget();
		show(false, forgotten);
		document.getElementById('draft-keep').focus();
	});
	form.addEventListener('input', () => {
		clearTimeout(timer);
		if (form.dataset.kept) timer = setTimeout(() => { if (form.dataset.kept) keep(); }, 500);
	});
	// A private key was in it: nothing of that stays here.
	document.addEventListener('postern:secret', () => {
		forget();
		show(false, forgotten);
	});
	document.addEventListener('postern:sent', () => {
		delete form.dataset.kept;
		forget();
	});
}
