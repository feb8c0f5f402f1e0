// Keeps a draft of the report on this device, only while the reporter ticks
// the box. The receipt removes it (copy.js).
const form = document.getElementById('form-report');
const frame = document.getElementById('draft');
const box = document.getElementById('keep-draft');
const key = 'postern-draft';

function storage() {
	try {
		localStorage.setItem(key + '-test', '1');
		localStorage.removeItem(key + '-test');
		return localStorage;
	} catch {
		return null;
	}
}

const store = storage();
const fields = () => [...form.querySelectorAll('textarea:not([hidden]), input[type=text], input[type=email]')];

function keep() {
	if (!box.checked) return;
	try {
		store.setItem(key, JSON.stringify(Object.fromEntries(fields().map((f) => [f.name, f.value]))));
	} catch { /* full: the text is still in the form */ }
}

if (form && frame && store) {
	frame.hidden = false;
	let kept = {};
	try { kept = JSON.parse(store.getItem(key) || '{}'); } catch { store.removeItem(key); }
	if (Object.keys(kept).length > 0) {
		box.checked = true;
		for (const f of fields()) if (!f.value && kept[f.name]) f.value = kept[f.name];
	}
	box.addEventListener('change', () => box.checked ? keep() : store.removeItem(key));
	let timer;
	form.addEventListener('input', () => { clearTimeout(timer); timer = setTimeout(keep, 500); });
}
