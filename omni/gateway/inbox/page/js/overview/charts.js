// Which charts a period has: days and hours for several days, hours alone for one.

import { h } from "../dom.js";
import { t } from "../texts.js";
import "./chart.js";
import { count, dayNames, duration, hourName } from "./figures.js";
import { zone } from "./periods.js";

/** The charts of an overview's answer, as one node. */
export function charts({ days, hours }) {
  const made = days.length > 1 ? [conversationsByDay(days), firstResponseByDay(days), byHour(hours, "heat")] : [byHour(hours, "bars")];
  return h("div", { class: "charts" }, ...made.map((chart) => {
    const node = document.createElement("omni-chart");
    node.className = "card";
    node.show(chart);
    return node;
  }));
}

function conversationsByDay(days) {
  return {
    ...named(days),
    kind: "bars",
    title: t("overview.chart.days"),
    under: t("overview.chart.others"),
    mark: count,
    series: [
      { name: t("overview.chart.contained"), ink: 1, values: days.map((day) => day.contained), format: count },
      { name: t("overview.chart.rest"), ink: 2, values: days.map((day) => Math.max(0, day.conversations - day.contained)), format: count },
      { name: t("overview.conversations"), values: days.map((day) => day.conversations), format: count },
      { name: t("overview.handoffs"), values: days.map((day) => day.handoffs), format: count },
    ],
  };
}

function firstResponseByDay(days) {
  const values = days.map((day) => day.first_response_median);
  return {
    ...named(days),
    kind: "line",
    title: t("overview.chart.first_response"),
    note: values.every((value) => value === null) ? t("overview.chart.nothing") : undefined,
    mark: (seconds) => (seconds ? duration(seconds) : "0"),
    series: [{ name: t("overview.chart.median"), ink: 1, values, format: duration }],
  };
}

function byHour(hours, kind) {
  return {
    kind,
    title: t("overview.chart.hours"),
    note: t("overview.chart.zone", { zone: zone().replaceAll("_", " ") }),
    head: t("overview.hour"),
    columns: hours.map((_, hour) => String(hour)),
    full: hours.map((_, hour) => `${hourName(hour)}–${hourName((hour + 1) % 24)}`),
    mark: count,
    series: [{ name: t("overview.conversations"), ink: 1, values: hours, format: count }],
  };
}

function named(days) {
  const names = days.map((one) => dayNames(one.day));
  return { head: t("overview.day"), columns: names.map((name) => name.short), full: names.map((name) => name.full) };
}
