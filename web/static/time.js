// Adds the reader's own zone, and how far an instant is, to times that the
// server printed in UTC alone. Times of pages that know the reader's zone
// (data-zone) and of pages with a moved time (data-now) are left as they are.
const page = document.documentElement;
const minute = 60, hour = 3600, day = 86400;

function own(at) {
	const clock = at.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
	const sameDay = at.getDate() === at.getUTCDate();
	const weekday = sameDay ? '' : at.toLocaleDateString(page.lang, { weekday: 'short' }) + ' ';
	return at.getTimezoneOffset() === 0 ? '' : ` · ${weekday}${clock} ${page.dataset.yourTime}`;
}

function relative(at) {
	const seconds = Math.trunc((at - Date.now()) / 1000), far = Math.abs(seconds);
	const words = new Intl.RelativeTimeFormat(page.lang, { numeric: 'always' });
	if (far >= 2 * day) return words.format(Math.trunc(seconds / day), 'day');
	if (far >= hour) return words.format(Math.trunc(seconds / hour), 'hour');
	return words.format(Math.trunc(seconds / minute), 'minute');
}

function add(time, name, text) {
	if (!text) return;
	const span = document.createElement('span');
	span.className = name;
	span.textContent = text;
	time.append(span);
}

export function readTimes(root) {
	for (const time of root.querySelectorAll('time[data-zone]')) {
		const at = new Date(time.dateTime);
		if (isNaN(at)) continue;
		if (time.dataset.zone === 'false') {
			add(time, 'own', own(at));
			time.dataset.zone = 'done';
		}
		if (time.dataset.now === 'false' && page.dataset.demo !== 'true') {
			add(time, 'rel', ` · ${relative(at)}`);
			time.dataset.now = 'done';
		}
	}
}

readTimes(document);
document.addEventListener('postern:refreshed', (e) => readTimes(e.target));
