/** Decimal strings, exact: they are compared and shown without ever being floats. */

/**
 * Return the value as an integer of 10 ** -digits.
 * @param {string} value
 * @param {number} digits
 */
export function scaled(value, digits) {
  const [, sign = '', whole = '0', fraction = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(value) ?? [];
  const magnitude = BigInt(whole + fraction.slice(0, digits).padEnd(digits, '0'));
  return sign ? -magnitude : magnitude;
}

/**
 * Return how many decimals a value needs, without its trailing zeros.
 * @param {string} value
 */
export function decimalsOf(value) {
  return (value.split('.')[1] ?? '').replace(/0+$/, '').length;
}

/**
 * Return the value with groups of thousands and exactly `decimals` decimals; further ones are cut off.
 * @param {string} value
 * @param {number} decimals
 */
export function grouped(value, decimals) {
  const [whole = '0', fraction = ''] = value.split('.');
  const groups = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return decimals > 0 ? `${groups}.${fraction.slice(0, decimals).padEnd(decimals, '0')}` : groups;
}

/**
 * Return the change from one price to another in percent, as `+1.23 %`.
 * @param {string} from
 * @param {string} to
 */
export function change(from, to) {
  const start = scaled(from, 16);
  if (start === 0n) return '';
  const difference = scaled(to, 16) - start;
  const size = difference < 0n ? -difference : difference;
  const hundredths = (size * 10_000n + start / 2n) / start;
  const sign = difference > 0n ? '+' : difference < 0n ? '−' : '';
  return `${sign}${hundredths / 100n}.${String(hundredths % 100n).padStart(2, '0')} %`;
}

/**
 * Return -1, 0 or 1: whether the price fell, stayed or rose.
 * @param {string} from
 * @param {string} to
 */
export function direction(from, to) {
  const difference = scaled(to, 16) - scaled(from, 16);
  return difference > 0n ? 1 : difference < 0n ? -1 : 0;
}
