// Asks before a page is left with text that was typed and not sent.
const changed = new Set();
for (const form of document.querySelectorAll('form[method=post]')) {
	form.addEventListener('input', (e) => { if (e.target.matches('textarea')) changed.add(form); });
	form.addEventListener('submit', () => changed.clear());
}
addEventListener('beforeunload', (e) => { if (changed.size > 0) e.preventDefault(); });
