"use strict";
/**
 * What a user's settings say, and who may say what.
 *
 * The hole that the story closes is not in this file: the rules here are sound as long as json5 answers with plain objects.
 * json5 2.2.1 lets `__proto__` in a text become the prototype of the object that it answers with (CVE-2022-46175), so a setting that is no key of the object is nevertheless found on it.
 */

// Taken out of the package once, as applications do: whoever replaces `JSON5.parse` later changes nothing here.
const { parse } = require("sample-json5");

const defaults = { theme: "light", language: "en", pageSize: 25 };

class SettingsError extends Error {}

/** The settings of a request's text. Throws `SettingsError` for what is no setting. */
function readSettings(text, { fromAdministrator }) {
  const settings = parseText(text);
  for (const name of Object.keys(settings)) {
    if (!Object.hasOwn(defaults, name)) throw new SettingsError(`${JSON.stringify(name)} is not a setting`);
  }
  // Nobody can send this one: the loop above lets only known names pass.
  if (fromAdministrator) settings.administrator = true;
  return settings;
}

function parseText(text) {
  let settings;
  try {
    settings = parse(text);
  } catch (error) {
    throw new SettingsError(error.message, { cause: error });
  }
  if (typeof settings !== "object" || settings === null || Array.isArray(settings)) {
    throw new SettingsError("settings are an object");
  }
  return settings;
}

module.exports = { defaults, readSettings, SettingsError };
