/** Checks for y18n: translators that were made before, new ones, and locales with hostile names. */
"use strict";
const { calls, each } = require("../checks.cjs");

const locales = ["en", "de", "none", "__proto__", "constructor", "toString", "en_US", "../up"];
const words = ["hello", "%s apples", "__proto__", "constructor", "polluted", "", "%d of %s %%"];

function told(translator) {
  return [translator.getLocale(), translator.locale, translator.__("hello")];
}

/** Each round begins alike: what an earlier one left in every object through the open hole says nothing about the code. */
function empty() {
  // Where the locales `__proto__`, `constructor` and `toString` lead the vulnerable version.
  for (const reached of [Object.prototype, Object, Object.prototype.toString])
    for (const key of Object.keys(reached)) delete reached[key];
  return Object.keys(Object.prototype);
}

module.exports = {
  keep: (library) => {
    const make = library.default ?? library;
    const settings = { directory: "/nonexistent", updateFiles: false, locale: "en" };
    // Made by the code from before, one for each round, since a translator keeps what earlier rounds left in it.
    const made = Array.from({ length: 2 }, () => make(settings));
    for (const translator of made) translator.updateLocale({ hello: "hello there" });
    return { make, settings, made };
  },
  checks: ({ make, settings, made }) => {
    const old = made.shift();
    const { __: translate, __n: plural, setLocale, updateLocale } = old;
    const work = (translator) => (locale, word) => {
      translator.setLocale(locale);
      const said = [
        translator.__(word, 3, "x"),
        translator.__n(word, `${word}s`, 1),
        translator.__n(`one ${word}`, `%d ${word}`, 2),
      ];
      translator.setLocale("en");
      return said;
    };
    const update = (translator) => (locale) => {
      translator.setLocale(locale);
      translator.updateLocale({ polluted: true, hello: `in ${locale}` });
      const said = [translator.__("hello"), {}.polluted];
      translator.setLocale("en");
      return said;
    };
    const pairs = locales.flatMap((locale) => words.map((word) => [locale, word]));
    return [
      ["every object, as at first", empty],
      ["what the old one kept", () => [translate("hello"), told(old)]],
      ...calls("the old one says", work(old), pairs),
      ...calls("a new one says", (locale, word) => work(make(settings))(locale, word), pairs),
      ...each("the old one is updated in", update(old), locales),
      ...each("a new one is updated in", (locale) => update(make(settings))(locale), locales),
      ...each(
        "bound functions in",
        (locale) => {
          setLocale(locale);
          updateLocale({ a: `b ${locale}` });
          const said = [translate("a"), plural("%d x", "%d xs", 4), {}.a];
          setLocale("en");
          return said;
        },
        locales,
      ),
      ["tagged templates", () => [translate`fish ${1}`, translate`x`]],
      [
        "the keys of a new one's cache",
        () => {
          const fresh = make(settings);
          fresh.updateLocale({ x: "y" });
          return told(fresh);
        },
      ],
      [
        "fallback to the language",
        () => [
          make({ ...settings, locale: "de_AT" }).__("hello"),
          make({ ...settings, fallbackToLanguage: false }).__("hello"),
        ],
      ],
    ];
  },
};
