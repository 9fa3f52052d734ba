// Asks what has arrived since it last asked. What came from outside is only ever set as text, never as HTML.
"use strict";

const list = document.getElementById("requests");
const state = document.getElementById("state");
const shown = new Map();
let revision = 0;

function element(name, text, kind) {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function draw(request) {
  const answered = request.answered;
  const kind = answered === null ? "open" : answered < 300 ? "yes" : "no";
  const row = element("li", "", kind);
  const word = answered === null ? "not answered yet" : "answered " + answered;
  row.append(element("p", "#" + request.number + "  " + request.at + "  " + request.event + "  " + word));
  const body = request.body + (request.whole ? "" : "\n… (" + request.bytes + " bytes in all)");
  row.append(element("pre", body));
  const more = element("details", "");
  more.append(element("summary", "headers"));
  more.append(element("pre", request.headers.map(([name, value]) => name + ": " + value).join("\n")));
  row.append(more);
  const before = shown.get(request.number);
  if (before) before.replaceWith(row);
  else list.prepend(row);
  shown.set(request.number, row);
}

function choose(answer) {
  for (const button of document.getElementsByName("answer")) button.checked = button.value === answer;
}

async function look() {
  try {
    const response = await fetch("/api/requests?since=" + revision);
    const news = await response.json();
    if (news.revision < revision) {
      list.replaceChildren();
      shown.clear();
    }
    revision = news.revision;
    news.requests.forEach(draw);
    for (const [number, row] of shown) {
      if (number < news.oldest) {
        row.remove();
        shown.delete(number);
      }
    }
    choose(news.answer);
    state.textContent = news.total ? news.total + " requests so far." : "Nothing has arrived yet.";
  } catch {
    state.textContent = "The sandbox does not answer: has it ended?";
  }
  setTimeout(look, 500);
}

for (const button of document.getElementsByName("answer")) {
  button.addEventListener("change", () => fetch("/api/answer", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ answer: button.value }),
  }));
}
look();
