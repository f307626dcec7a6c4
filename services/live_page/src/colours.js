/** The page's colours: those of the system, or the ones chosen with the button; the chart takes them from the style sheet. */

const CHOICE = 'theme';
const NAMES = /** @type {const} */ ([
  'panel', 'text', 'muted', 'line', 'grid', 'up', 'down', 'up-volume', 'down-volume', 'incomplete', 'open', 'accent',
]);

/** @typedef {Record<typeof NAMES[number], string>} Colours */

/** @returns {Colours} */
export function colours() {
  // Only a colour property resolves light-dark(); a custom property returns its text.
  const probe = document.body.appendChild(document.createElement('span'));
  const style = getComputedStyle(probe);
  const entries = NAMES.map((name) => {
    probe.style.color = `var(--${name})`;
    return [name, style.color];
  });
  probe.remove();
  return /** @type {Colours} */ (Object.fromEntries(entries));
}

/**
 * Let `button` change between light and dark; call `onChange` whenever the colours change.
 * @param {HTMLButtonElement} button
 * @param {() => void} onChange
 */
export function connectTheme(button, onChange) {
  const system = matchMedia('(prefers-color-scheme: dark)');
  const root = document.documentElement;
  const isDark = () => (root.dataset['theme'] ? root.dataset['theme'] === 'dark' : system.matches);
  const show = () => {
    button.textContent = isDark() ? 'Light' : 'Dark';
    button.setAttribute('aria-label', isDark() ? 'Use light colours' : 'Use dark colours');
    onChange();
  };
  const chosen = localStorage.getItem(CHOICE);
  if (chosen) root.dataset['theme'] = chosen;
  button.addEventListener('click', () => {
    root.dataset['theme'] = isDark() ? 'light' : 'dark';
    localStorage.setItem(CHOICE, root.dataset['theme']);
    show();
  });
  system.addEventListener('change', show);
  show();
}
