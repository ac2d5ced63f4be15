// A page of review: the state comes from the server, and each step is sent to it before the next image is shown.

const by = (id) => document.getElementById(id);
const REASONS = { unsure: 'unsure', unfamiliar: 'unfamiliar', unreadable: 'unreadable', damaged: 'damaged' };
const MANY = 9; // classes beyond which they can be searched
let state = null;
let busy = false;
let chosen = new Set();

async function sent(path, content) {
  const options = content === undefined ? {} : {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(content),
  };
  const answer = await fetch(path, options);
  const told = await answer.json();
  if (!answer.ok && told.total === undefined) throw new Error(told.error);
  return told;
}

async function act(path, content) {
  if (busy) return;
  busy = true;
  try {
    show(await sent(path, content));
  } catch (error) {
    const gone = error instanceof TypeError;
    say(gone ? 'The command is no longer running: start it again.' : error.message, true);
  } finally {
    busy = false;
  }
}

function say(text, warning = false) {
  by('told').textContent = text;
  by('told').classList.toggle('warning', warning);
}

const percent = (share) => `${Math.round(100 * share)} %`;

function inWords(told) {
  const sure = told.confidence === null || told.confidence === undefined ? '' : `, ${percent(told.confidence)}`;
  const reason = REASONS[told.reason] ? `, ${REASONS[told.reason]}` : '';
  const answer = told.answer ? `The classifier said ${told.answer}${sure}${reason}.` : 'The classifier gave no answer.';
  return told.given ? `${answer} The label so far is ${told.given}.` : answer;
}

function whatHappened(last) {
  if (!last) return '';
  return last.said === null ? `Skipped ${last.name}.` : `Filed as ${last.said}. ${inWords(last)}`;
}

function show(next) {
  const moved = !state || !next.now || !state.now || state.now.number !== next.now.number;
  if (!state) makeButtons(next);
  state = next;
  const done = state.filed + state.skipped;
  const skipped = state.skipped ? `, ${state.skipped} skipped` : '';
  by('where').textContent = `${state.filed} of ${state.total} labelled${skipped}`;
  by('progress').max = Math.max(1, state.total);
  by('progress').value = done;
  by('undo').disabled = !state.last;
  by('looking').hidden = !state.now;
  by('end').hidden = Boolean(state.now);
  if (next.error) say(next.error, true); else say(whatHappened(state.last));
  if (!state.now) {
    by('counts').textContent = `${state.filed} labelled, ${state.skipped} skipped.`;
    by('again').hidden = !state.skipped;
    by('finish').focus();
    return;
  }
  if (moved) showImage();
}

function showImage() {
  const { number, name, why } = state.now;
  by('image').alt = `Image to label: ${name}`;
  by('image').src = `image/${number}`;
  by('name').textContent = name;
  by('why').textContent = why;
  const before = state.now.answer !== undefined;
  by('answer').hidden = !before;
  by('ask').hidden = before;
  if (before) by('answer').textContent = inWords(state.now);
  press(new Set());
  if (by('find').value) { by('find').value = ''; filter(); }
  if (state.following !== null) new Image().src = `image/${state.following}`;
}

function makeButtons(first) {
  by('file').hidden = !first.several;
  by('question').textContent = first.several ? 'What does it show? Several are possible.' : 'What does it show?';
  by('finding').hidden = first.classes.length <= MANY;
  first.classes.forEach((name, place) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.dataset.name = name;
    if (first.keys[place]) button.dataset.key = first.keys[place];
    if (first.several) button.setAttribute('aria-pressed', 'false');
    button.append(name);
    button.addEventListener('click', () => choose(name));
    by('classes').append(button);
  });
  for (const button of document.querySelectorAll('button[data-key]')) {
    const key = document.createElement('kbd');
    key.textContent = button.dataset.key === 'enter' ? '↵' : button.dataset.key;
    key.setAttribute('aria-hidden', 'true');
    button.setAttribute('aria-keyshortcuts', button.dataset.key === 'enter' ? 'Enter' : button.dataset.key);
    button.prepend(key);
  }
}

function press(names) {
  chosen = names;
  if (!state.several) return;
  for (const button of by('classes').children) button.setAttribute('aria-pressed', String(chosen.has(button.dataset.name)));
}

function choose(name) {
  if (!state.several) { label(name); return; }
  const names = new Set(chosen);
  if (!names.delete(name)) names.add(name);
  press(names);
}

function label(name, more = {}) {
  act('label', { number: state.now.number, label: name, ...more });
}

function filter() {
  const wanted = by('find').value.trim().toLowerCase();
  for (const button of by('classes').children) button.hidden = !button.dataset.name.toLowerCase().includes(wanted);
}

async function peek() {
  try {
    by('answer').textContent = inWords(await sent(`answer/${state.now.number}`));
    by('answer').hidden = false;
  } catch (error) {
    say(error.message, true);
  }
}

by('none').addEventListener('click', () => label(state.several ? [] : null));
by('file').addEventListener('click', () => label([...chosen]));
by('skip').addEventListener('click', () => act('skip', { number: state.now.number }));
by('undo').addEventListener('click', () => act('undo', {}));
by('again').addEventListener('click', () => act('again', {}));
by('ask').addEventListener('click', peek);
by('find').addEventListener('input', filter);
by('find').addEventListener('keydown', (event) => {
  const first = [...by('classes').children].find((button) => !button.hidden);
  if (event.key === 'Enter' && first) { event.preventDefault(); choose(first.dataset.name); by('find').select(); }
});
by('new').addEventListener('submit', (event) => {
  event.preventDefault();
  const name = by('new-name').value.trim();
  if (!name || busy) return;
  by('new-name').value = '';
  label(state.several ? [...chosen, name] : name, { new: !state.classes.includes(name) });
});
by('keys').addEventListener('change', () => document.body.classList.toggle('no-keys', !by('keys').checked));
by('image').addEventListener('error', () => say('This image cannot be shown: skip it, or say that it is none of these.', true));
by('finish').addEventListener('click', async () => {
  await act('finish', {});
  for (const id of ['looking', 'end', 'always']) by(id).hidden = true;
  by('folder').textContent = state.folder;
  for (const command of state.after) {
    const item = document.createElement('li');
    const code = document.createElement('code');
    code.textContent = command;
    item.append(code);
    by('next').append(item);
  }
  by('after').hidden = false;
  say(`Finished: ${state.filed} labelled.`);
});
document.addEventListener('keydown', (event) => {
  if (!by('keys').checked || event.ctrlKey || event.metaKey || event.altKey || !state || event.repeat) return;
  if (event.target.matches('input:not([type="checkbox"])')) return;
  if (event.key === 'Enter' && (event.target.matches('button, summary') || !state.several)) return;
  const wanted = event.key.toLowerCase();
  const button = [...document.querySelectorAll('button[data-key]')].find((each) => each.dataset.key === wanted);
  if (event.key === '/' && !by('finding').hidden) { event.preventDefault(); by('find').focus(); return; }
  if (!button || button.disabled || button.closest('[hidden]')) return;
  event.preventDefault();
  button.click();
});
act('state');
