const note = document.querySelector('.note');
const source = new EventSource('events');

source.onmessage = (event) => {
	const states = JSON.parse(event.data);
	for (const section of document.querySelectorAll('[data-entity]')) {
		const state = states[section.dataset.entity];
		section.dataset.state = state;
		section.querySelector('p').textContent = state;
	}
	note.textContent = 'Press the button of the guest’s link and watch.';
};

source.onerror = () => { note.textContent = 'The demo has ended, or cannot be reached.'; };
