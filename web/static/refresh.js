// Asks again, every two seconds and only if it changed, for each element with
// an id and data-refresh. The answer is parsed by the browser into a document
// that runs nothing, so no text of ours is ever turned into code here.
const every = 2000, longest = 30000;

function ask(url, tag) {
	return new Promise((done) => {
		const request = new XMLHttpRequest();
		request.open('GET', url);
		request.responseType = 'document';
		request.timeout = 10000;
		if (tag) request.setRequestHeader('If-None-Match', tag);
		request.onloadend = () => done(request);
		request.send();
	});
}

// busy: somebody types, or looks into something opened, inside the element.
function busy(element) {
	return element.contains(document.activeElement) && document.activeElement !== document.body ||
		element.querySelector('details[open]') !== null || String(getSelection()) !== '';
}

async function watch(id, url) {
	let tag = '', wait = every;
	for (;;) {
		await new Promise((next) => setTimeout(next, wait));
		const element = document.getElementById(id);
		if (!element) return;
		if (document.hidden || busy(element)) continue;
		const answer = await ask(url, tag);
		if (answer.status === 200) {
			const fresh = answer.response && answer.response.getElementById(id);
			if (!fresh) return; // signed out, or gone: the page says so when it is loaded again
			tag = answer.getResponseHeader('ETag') || '';
			const here = document.getElementById(id);
			if (here && !busy(here)) {
				const adopted = document.adoptNode(fresh);
				here.replaceWith(adopted);
				adopted.dispatchEvent(new Event('postern:refreshed', { bubbles: true }));
			} else {
				tag = '';
			}
			wait = every;
		} else if (answer.status === 304) {
			wait = every;
		} else if (answer.status >= 400 && answer.status < 500 && answer.status !== 429) {
			return;
		} else {
			wait = Math.min(wait * 2, longest);
		}
	}
}

for (const element of document.querySelectorAll('[data-refresh][id]')) {
	watch(element.id, element.dataset.refresh);
}
