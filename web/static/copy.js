// Copies, prints and saves a mailbox code. The code goes nowhere else: into no
// address, no storage, no request. A kept draft of the report has done its work.
const actions = document.getElementById('code-actions');
const words = [...document.querySelectorAll('#code-words li')].map((li) => li.textContent.trim()).join(' ');
const status = document.getElementById('code-status');

try { localStorage.removeItem('postern-draft'); } catch { /* no storage, no draft */ }

if (actions && words) {
	actions.hidden = false;
	document.getElementById('copy-code').addEventListener('click', async () => {
		try {
			await navigator.clipboard.writeText(words);
			status.textContent = actions.dataset.copied;
		} catch {
			status.textContent = actions.dataset.failed;
		}
	});
	document.getElementById('print-code').addEventListener('click', () => print());
	document.getElementById('save-code').addEventListener('click', () => {
		const link = document.createElement('a');
		link.href = URL.createObjectURL(new Blob([words + '\n'], { type: 'text/plain' }));
		link.download = actions.dataset.file;
		link.click();
		setTimeout(() => URL.revokeObjectURL(link.href), 10000);
	});
}
