// Follows a stream with the EventSource of the npm package `eventsource`, as its documentation
// says, and prints one line of JSON for each event. node follow.cjs PACKAGE URL TYPE...
"use strict";
const [, , folder, url, ...types] = process.argv;
const { EventSource } = require(folder);

const source = new EventSource(url);
source.addEventListener("open", () => console.log(JSON.stringify({ open: true })));
source.addEventListener("error", (event) => {
	if (source.readyState === EventSource.CLOSED) {
		console.error("given up: " + event.message);
		process.exit(1);
	}
});
for (const type of types) {
	source.addEventListener(type, (event) =>
		console.log(JSON.stringify({ id: event.lastEventId, type: event.type, data: event.data })));
}
