// Counts down the seconds in which a reply can still be taken back, by the
// server's time; when they are over its button goes.
const seen = new Map();

function left(span) {
	const key = span.dataset.until;
	if (!seen.has(key)) {
		seen.set(key, new Date(key) - new Date(span.dataset.now) + performance.now());
	}
	return Math.max(0, Math.ceil((seen.get(key) - performance.now()) / 1000));
}

function tick() {
	for (const span of document.querySelectorAll('[data-until]')) {
		const seconds = left(span);
		if (span.textContent !== String(seconds)) span.textContent = String(seconds);
		if (seconds === 0) {
			const form = span.closest('.waiting').querySelector('form');
			if (form) form.hidden = true;
		}
	}
}

tick();
setInterval(tick, 500);
