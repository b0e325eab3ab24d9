// Text to visemes without a lexicon: good enough to see that lips move with what is said.
// Its tables are speech.json, which Python puts before it as `SPEECH`. No document is needed here.

const LONGEST = 3; // letters of the longest rule
const OPEN = new Set(["AI", "E", "O", "U"]);
const MARKS = /[\u0300-\u036f]/g; // accents of Latin, Greek and Cyrillic letters

// Letters of other scripts, decomposed as the text will be: {letters it sounds like, consonant of}.
const FOREIGN = new Map();
for (const script of Object.values(SPEECH.scripts)) {
  for (const [letter, sound] of Object.entries(script.letters)) FOREIGN.set(letter.normalize("NFD"), { sound });
  for (const [letter, sound] of Object.entries(script.consonants ?? {})) {
    FOREIGN.set(letter.normalize("NFD"), { sound, script });
  }
}
const SILENT = Object.entries(SPEECH.silent).map(([script, name]) => [new RegExp(`\\p{scx=${script}}`, "u"), name]);

// Visemes of a run of the letters that the rules know, the longest rule first.
function byRules(letters) {
  const single = letters.replace(/(.)\1+/g, (all, one) => ("eo".includes(one) ? one + one : one));
  const found = [];
  for (let at = 0; at < single.length;) {
    let length = Math.min(LONGEST, single.length - at);
    while (!(single.slice(at, at + length) in SPEECH.letters)) length -= 1;
    found.push(...SPEECH.letters[single.slice(at, at + length)].split(" "));
    at += length;
  }
  return found;
}

// A Latin word in the letters of the rules: their own accents (ä ö ü) stay, others go.
function plain(word) {
  const letters = word.normalize("NFC");
  const muteE = /[^aeiouyäöü]e$/.test(letters) && letters.length > 3; // name; café speaks its own
  return Array.from(muteE ? letters.slice(0, -1) : letters, (letter) => {
    if (letter in SPEECH.letters) return letter;
    const base = letter.normalize("NFD").replace(MARKS, "");
    return base in SPEECH.letters ? base : SPEECH.latin[base] ?? "";
  }).join("");
}

// A letter of another script is a sound of its own, so what it sounds like is read alone, and a
// blank in the table parts two sounds. A
// consonant of an Indic script is followed by its vowel, unless a sign says another one or none;
// at the end of a word it is not spoken.
function foreign(word, at) {
  for (let length = LONGEST; length > 0; length -= 1) {
    const found = FOREIGN.get(word.slice(at, at + length));
    if (!found || at + length > word.length) continue;
    const next = word[at + length];
    const vowel = found.script && next && !found.script.signs.includes(next) ? found.script.vowel : "";
    return { length, sounds: [...found.sound.split(" "), vowel] };
  }
  return null;
}

// Visemes of one word, and the names of scripts in it that have no rules.
function readWord(word) {
  const text = word.replaceAll("\u00ad", "").normalize("NFKD").toLowerCase();
  const found = [];
  const unknown = new Set();
  for (let at = 0; at < text.length;) {
    const latin = /^\p{Script=Latin}[\p{Script=Latin}\u0300-\u036f]*/u.exec(text.slice(at));
    const other = latin ? null : foreign(text, at);
    if (latin) found.push(...byRules(plain(latin[0])));
    if (other) found.push(...other.sounds.flatMap(byRules));
    const letter = String.fromCodePoint(text.codePointAt(at));
    if (!latin && !other && /\p{L}/u.test(letter)) {
      unknown.add(SILENT.find(([script]) => script.test(letter))?.[1] ?? "the script of “" + letter + "”");
    }
    at += latin ? latin[0].length : other ? other.length : letter.length;
  }
  return { visemes: found.filter((viseme, k) => viseme !== found[k - 1]), unknown };
}

// ---- numbers ---------------------------------------------------------------------------------

function belowThousand(number, words) {
  const [hundreds, rest] = [Math.floor(number / 100), number % 100];
  const parts = hundreds ? [hundreds === 1 ? words.one : words.ones[hundreds], words.hundred] : [];
  const [tens, unit] = [Math.floor(rest / 10), rest % 10];
  if (rest && rest < 20) parts.push(words.ones[rest]);
  else if (rest && !unit) parts.push(words.tens[tens]);
  else if (rest && words.link) parts.push(unit === 1 ? words.one : words.ones[unit], words.link, words.tens[tens]);
  else if (rest) parts.push(words.tens[tens], words.ones[unit]);
  return parts;
}

// A whole number below a thousand million in words.
function spelled(number, words) {
  if (number === 0) return words.ones[0];
  const [millions, thousands, rest] = [Math.floor(number / 1e6), Math.floor(number / 1e3) % 1e3, number % 1e3];
  const parts = [];
  if (millions === 1) parts.push(words.million[0]);
  else if (millions) parts.push(...belowThousand(millions, words), words.million[1]);
  if (thousands === 1) parts.push(words.one, words.thousand);
  else if (thousands) parts.push(...belowThousand(thousands, words), words.thousand);
  parts.push(...belowThousand(rest, words));
  return parts.join(" ");
}

function asciiDigits(text) {
  return text.replace(/\p{Nd}/gu, (digit) => {
    const folded = digit.normalize("NFKD");
    if (/^[0-9]$/.test(folded)) return folded;
    const past = Array.from(SPEECH.zeros, (zero) => digit.codePointAt(0) - zero.codePointAt(0));
    return String(past.find((value) => value >= 0 && value <= 9) ?? "");
  });
}

const singly = (digits, words) => Array.from(digits, (digit) => words.ones[digit]).join(" ");
// What begins with a zero or is very long is no amount: it is read digit by digit.
const whole = (digits, words) => (digits.length > 9 || /^0./.test(digits) ? singly(digits, words) : spelled(Number(digits), words));

// Digits with points and commas in words; the language says which of them groups and which divides.
function readNumber(text, words) {
  const digits = asciiDigits(text);
  const grouped = new RegExp(`^\\d{1,3}(\\${words.group}\\d{3})+(\\${words.decimal}\\d+)?$`);
  const amount = grouped.test(digits) ? digits.replaceAll(words.group, "") : digits;
  const [before, after, ...more] = amount.split(words.decimal);
  if (/^\d+$/.test(before) && /^\d+$/.test(after ?? "0") && !more.length) {
    return whole(before, words) + (after === undefined ? "" : ` ${words.point} ${singly(after, words)}`);
  }
  return digits.split(/\D+/).filter(Boolean).map((part) => whole(part, words)).join(" ");
}

// ---- texts -----------------------------------------------------------------------------------

const TOKENS = new RegExp([
  "(?<number>\\p{Nd}(?:[\\p{Nd}.,]*\\p{Nd})?)",
  "(?<minus>(?<![\\p{L}\\p{N}])[-−](?=\\p{Nd}))",
  "(?<word>\\p{L}(?:[\\p{L}\\p{M}\\u00ad\\u200c\\u200d]|['’](?=\\p{L}))*)",
  "(?<pause>[.,;:!?…،؛؟。、！？।॥]+)",
  "(?<other>[^\\s])",
].join("|"), "gu");

// A text as [{char: where it stands, visemes}, {char, pause: milliseconds}], and what it leaves out.
function readText(text, language) {
  const words = SPEECH.languages[language] ?? SPEECH.languages.en;
  const notes = [];
  const unknown = new Set();
  const take = (char, spoken) => {
    for (const word of spoken.split(/\s+/).filter(Boolean)) {
      const read = readWord(word);
      read.unknown.forEach((name) => unknown.add(name));
      if (read.visemes.length) notes.push({ char, visemes: read.visemes });
    }
  };
  for (const { index, groups } of text.matchAll(TOKENS)) {
    if (groups.number) take(index, readNumber(groups.number, words));
    else if (groups.minus) take(index, words.minus);
    else if (groups.word) take(index, groups.word);
    else if (groups.pause) notes.push({ char: index, pause: /[.!?…؟。！？।॥]/u.test(groups.pause) ? 380 : 220 });
    else if (groups.other in words.symbols) take(index, words.symbols[groups.other]);
    else if (/\p{N}/u.test(groups.other)) { // ², ½, Ⅳ
      const inner = readText(groups.other.normalize("NFKD"), language).notes;
      notes.push(...inner.map((note) => ({ ...note, char: index })));
    }
  }
  return { notes, unknown: [...unknown] };
}

// A score: {notes: [{at: milliseconds, viseme, char}] ending in Rest, spoken, unknown: [script]}.
function score(text, language) {
  const read = readText(text, language);
  const notes = [];
  let at = 0;
  for (const { char, pause, visemes } of read.notes) {
    if (pause) {
      notes.push({ at, viseme: "Rest", char });
      at += pause;
      continue;
    }
    for (const viseme of visemes) {
      notes.push({ at, viseme, char });
      at += OPEN.has(viseme) ? 135 : 80;
    }
    at += 25;
  }
  notes.push({ at, viseme: "Rest", char: text.length });
  notes.push({ at: at + 200, viseme: null, char: text.length });
  return { notes, spoken: read.notes.some((note) => note.visemes), unknown: read.unknown };
}

// What a listener must know of a text before its mouth moves; "" when all of it is spoken.
function leftOut({ spoken, unknown }) {
  const scripts = ["Latin", ...Object.keys(SPEECH.scripts)];
  const known = `${scripts.slice(0, -1).join(", ")} and ${scripts.at(-1)} letters, and numbers`;
  if (unknown.length && spoken) return `Left out, because this page cannot speak it: ${unknown.join(", ")}.`;
  if (unknown.length) return `This page cannot speak ${unknown.join(", ")}. It speaks ${known}.`;
  return spoken ? "" : `There is nothing to speak. Type some words: ${known}.`;
}
