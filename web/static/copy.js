// Copies, prints and saves a mailbox code, and asks before the page is left
// without any of it. The code goes nowhere else: into no address, no storage,
// no request; when the page is left it is wiped from it.
const actions = document.getElementById('code-actions');
const list = document.getElementById('code-words');
const status = document.getElementById('code-status');
const tick = document.getElementById('code-kept');

try { localStorage.removeItem('postern-draft'); } catch { /* no storage, no draft */ }

function done(text) {
	status.textContent = text;
	tick.checked = true;
}

if (actions && list) {
	const words = [...list.querySelectorAll('li')].map((li) => li.textContent.trim()).join(' ');
	actions.hidden = false;
	document.getElementById('copy-code').addEventListener('click', async () => {
		try {
			await navigator.clipboard.writeText(words);
			done(actions.dataset.copied);
		} catch {
			status.textContent = actions.dataset.failed;
		}
	});
	document.getElementById('print-code').addEventListener('click', () => print());
	document.getElementById('save-code').addEventListener('click', () => {
		const link = document.createElement('a');
		link.href = URL.createObjectURL(new Blob([words + '\n' + actions.dataset.at + '\n'], { type: 'text/plain' }));
		link.download = actions.dataset.file;
		link.click();
		setTimeout(() => URL.revokeObjectURL(link.href), 10000);
		done(actions.dataset.saved);
	});
	document.getElementById('form-open')?.addEventListener('submit', (e) => {
		if (tick.checked) return;
		e.preventDefault();
		status.textContent = actions.dataset.first;
		tick.focus();
	});
	addEventListener('beforeunload', (e) => { if (!tick.checked && list.isConnected) e.preventDefault(); });
	addEventListener('pagehide', () => {
		list.replaceChildren();
		for (const code of document.querySelectorAll('[name=code]')) code.value = '';
	});
}
