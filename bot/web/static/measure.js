/* How long a text is on the wire; the same answer as bot/text.py, which a test holds it to. */

const BASIC = new Set(
  "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§" +
    "¿abcdefghijklmnopqrstuvwxyzäöñüà",
);
const EXTENSION = new Set("\f^{}\\[~]|€");
const PLAIN = {
  "‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...",
  "\u00a0": " ", "\u2009": " ", "\u202f": " ",
};

/* Typographic quotes, dashes and spaces made plain, as the outbox does before it measures. */
export const plain = (text) => text.replace(/[‘’“”–—…\u00a0\u2009\u202f]/g, (char) => PLAIN[char]);

/* {encoding, units, parts}: septets or UTF-16 units; an escape or surrogate pair is never split over two parts. */
export function measure(text) {
  const chars = [...text];
  if (chars.every((char) => BASIC.has(char) || EXTENSION.has(char))) {
    return count("GSM-7", chars.map((char) => (EXTENSION.has(char) ? 2 : 1)), 160, 153);
  }
  return count("UCS-2", chars.map((char) => char.length), 70, 67);
}

function count(encoding, widths, single, each) {
  const units = widths.reduce((sum, width) => sum + width, 0);
  if (units <= single) return { encoding, units, parts: 1, limit: single };
  if (!widths.includes(2)) {
    const parts = Math.ceil(units / each);
    return { encoding, units, parts, limit: parts * each };
  }
  let parts = 1;
  let used = 0;
  for (const width of widths) {
    if (used + width > each) {
      parts += 1;
      used = 0;
    }
    used += width;
  }
  return { encoding, units, parts, limit: parts * each };
}

/* What will be sent: made plain, trimmed, and with the line the outbox adds where the text has none of its own. */
export function outgoing(text, added) {
  const words = plain(text).trim();
  if (!added || !words || /\bSTOP\b/i.test(words)) return words;
  return words.includes("\n") ? `${words}\n${added}` : `${words} ${added}`;
}
