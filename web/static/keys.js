// Keys at the desk: j and k move along a list, Enter opens, u goes back to the
// list, / searches, ? shows the keys. Nothing that leaves the house has one.
const sheet = document.getElementById('keys');
let here = '';

const rows = () => [...document.querySelectorAll('[data-rows] tbody tr')].filter((row) => row.querySelector('[data-open]'));

function mark(row) {
	for (const other of document.querySelectorAll('.is-here')) other.classList.remove('is-here');
	row.classList.add('is-here');
	const link = row.querySelector('[data-open]');
	here = link.getAttribute('href');
	link.focus({ preventScroll: true });
	row.scrollIntoView({ block: 'nearest' });
}

function move(step) {
	const all = rows();
	if (all.length === 0) return;
	const at = all.findIndex((row) => row.querySelector('[data-open]').getAttribute('href') === here);
	mark(all[Math.max(0, Math.min(all.length - 1, at + step))]);
}

function typing(target) {
	return target.closest('input, textarea, select, [contenteditable]') !== null;
}

document.addEventListener('keydown', (e) => {
	if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented || typing(e.target) || sheet && sheet.open) return;
	switch (e.key) {
	case 'j': move(1); break;
	case 'k': move(-1); break;
	case 'Enter': {
		const link = document.querySelector('.is-here [data-open]');
		if (!link || e.target.closest('a, button, summary')) return;
		link.click();
		break;
	}
	case 'u': {
		const back = document.querySelector('.bar-left nav [aria-current]') || document.querySelector('.bar-left .home');
		if (back) back.click();
		break;
	}
	case '/': {
		const search = document.querySelector('input[type=search]');
		if (!search) return;
		search.focus();
		break;
	}
	case '?': if (sheet) sheet.showModal(); break;
	default: return;
	}
	e.preventDefault();
});

document.addEventListener('postern:refreshed', () => {
	if (!here) return;
	const row = rows().find((one) => one.querySelector('[data-open]').getAttribute('href') === here);
	if (row) row.classList.add('is-here');
});

const faults = document.getElementById('faults');
if (faults) faults.focus();
