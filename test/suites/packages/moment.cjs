/** Checks for moment: fixed dates in UTC, parsed in many forms and told in many formats. */
"use strict";
const { calls, each, quick } = require("../checks.cjs");

const texts = [
  "2022-07-06",
  "2022-07-06T12:34:56.789Z",
  "2022-07-06 12:34",
  "2022-W27-3",
  "2022-187",
  "20220706T123456",
  "Wed, 06 Jul 2022 12:34:56 +0000",
  "06 Jul 22 12:34 GMT",
  "Wed, 06 Jul 2022 12:34:56 (comment) +0200",
  "Wed (a (nested) comment), 06 Jul 2022 12:34:56 EST",
  "((((",
  "06 (x) Jul\t2022\n12:34 Z",
  "Mon, 06 Jul 2022 12:34:56 +0000",
  "2022-13-01",
  "2022-02-29",
  "2024-02-29",
  "not a date",
  "",
  "24:00",
  "2022-07-06T24:00:00",
  "+002022-07-06",
  "-000001-01-01",
  "2022-07-06T12:34:56+05:30",
  "/Date(1657111111000)/",
];
const formats = [
  "",
  "YYYY-MM-DD",
  "dddd, MMMM Do YYYY, h:mm:ss a",
  "[literal] gg GG w W e E d",
  "X x",
  "Q DDD DDDo",
  "HH:mm:ss.SSS Z ZZ",
  "LT LTS L LL LLL LLLL l ll",
  "\\[x] YYYY",
  "kk:mm A",
  "N NNNN y",
];
const patterns = [
  ["06.07.2022", "DD.MM.YYYY"],
  ["6 7 22", "D M YY", true],
  ["July 6th 2022", "MMMM Do YYYY"],
  ["12:34 pm", "hh:mm a"],
  ["2022 27 3", "GGGG W E"],
  ["x", "YYYY"],
  ["2022-7-6", ["YYYY-MM-DD", "YYYY-M-D"], true],
  ["06 Jul 2022 12:34 +0000", "__rfc"],
  ["1657111111", "X"],
  ["2022-07-06T10", "YYYY-MM-DDTHH", "de"],
];
const units = ["year", "quarter", "month", "week", "isoWeek", "day", "hour", "minute", "second", "millisecond"];
const durations = [
  "P1Y2M3DT4H5M6S",
  "1.02:03:04.005",
  "-PT30M",
  { days: 1.5 },
  90061001,
  "nonsense",
  { months: 14, ms: 5 },
  "P0.5M",
  null,
];

module.exports = {
  keep: (moment) => {
    moment.suppressDeprecationWarnings = true;
    const { utc, duration, parseZone } = moment;
    return {
      moment,
      utc,
      duration,
      parseZone,
      old: utc("2022-07-06T12:34:56.789Z"),
      from: utc("2021-12-31T23:59:59Z"),
    };
  },
  checks: ({ moment, utc, duration, parseZone, old, from }) => {
    const rfc = moment.RFC_2822;
    const told = (date) => [
      date.isValid(),
      date.isValid() ? date.toISOString() : String(date),
      date.parsingFlags()?.rfc2822,
      date.creationData().format,
    ];
    const strictly = (text, format, ...more) => told(utc(text, format === "__rfc" ? rfc : format, ...more));
    return [
      ...each("utc", (text) => told(utc(text)), texts),
      ...each("moment", (text) => told(moment(text)), texts),
      ...each("RFC 2822", (text) => told(utc(text, rfc)), texts),
      ...each("RFC 2822 strictly", (text) => told(utc(text, rfc, true)), texts),
      ...each("parseZone", (text) => [told(parseZone(text)), parseZone(text).utcOffset()], texts),
      ...calls("by a pattern", strictly, patterns),
      ...each("format", (format) => [old.format(format), from.format(format)], formats),
      ...each("in German", (format) => utc(old).locale("de").format(format), formats),
      ...each("startOf and endOf", (unit) => [utc(old).startOf(unit), utc(old).endOf(unit)].map(told), units),
      ...each("add and subtract", (unit) => [utc(old).add(7, unit), utc(old).subtract(25, unit)].map(told), units),
      ...each(
        "diff",
        (unit) => [old.diff(from, unit), old.diff(from, unit, true), old.isSame(from, unit), old.isAfter(from, unit)],
        units,
      ),
      ...each("get and set", (unit) => [old.get(unit), told(utc(old).set(unit, 2))], units),
      ...each(
        "duration",
        (value) => [duration(value).toISOString(), duration(value).humanize(), duration(value).asHours()],
        durations,
      ),
      ...calls(
        "calendar",
        (...list) =>
          utc(old)
            .add(...list)
            .calendar(old),
        [
          [1, "day"],
          [-1, "day"],
          [5, "days"],
          [-5, "days"],
          [1, "year"],
        ],
      ),
      ...calls(
        "relative",
        (...list) =>
          utc(old)
            .add(...list)
            .from(old),
        [
          [3, "seconds"],
          [1, "minute"],
          [22, "hours"],
          [26, "days"],
          [11, "months"],
          [-3, "years"],
        ],
      ),
      ...calls("normalizeUnits", moment.normalizeUnits, ["y", "M", "isoWeekday", "hrs", "ms", "nope"]),
      ["months and weekdays", () => [moment.months(), moment.weekdaysShort(), moment.localeData().ordinal(3)]],
      ["max and min", () => [moment.max(old, from), moment.min(old, from)].map(told)],
      ["the version that the library states", () => moment.version],
      quick("many parentheses", () => moment("(".repeat(50_000))),
    ];
  },
};
