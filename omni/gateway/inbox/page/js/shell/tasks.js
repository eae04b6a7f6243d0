/** Telling the person that somebody waits for one of them: on the page, by ear, on the desktop, in the title. */

import { app, titleOf } from "../model.js";
import { chime, desktop, titleCount, toast, withdraw } from "../notices.js";
import { go } from "../router.js";
import { t } from "../texts.js";
import { needsPerson } from "../list/filter.js";

const TOGETHER_MS = 250;
const MOST_AT_ONCE = 2;

/** What each row's handler was when it was last seen, so that only a change is news. */
const seen = new Map();
let fresh = [];
let timer = null;

export function startTasks() {
  for (const row of app.rows.values()) seen.set(row.id, needsPerson(row));
  app.on("rows", ({ detail }) => {
    for (const id of detail.gone) {
      seen.delete(id);
      withdraw(noticeOf(id));
    }
    for (const id of detail.ids) look(app.rows.get(id));
  });
  app.on("open", ({ detail }) => detail && withdraw(noticeOf(detail)));
  app.on("counts", () => titleCount(app.counts.waiting ?? 0));
  app.on("language", () => titleCount(app.counts.waiting ?? 0));
  titleCount(app.counts.waiting ?? 0);
}

const noticeOf = (id) => `task-${id}`;

const JUST_NOW_S = 20;

function look(row) {
  if (!row) return;
  const before = seen.get(row.id);
  const now = needsPerson(row);
  seen.set(row.id, now);
  if (before && !now) withdraw(noticeOf(row.id));
  if (!now || before === true) return;
  // A row that is merely new to this page (an older one that was just loaded) is no news, one that just began to wait is.
  if (before === undefined && !(row.waiting_since !== null && app.now() - row.waiting_since < JUST_NOW_S && app.connected)) return;
  if (row.id === app.openId && !document.hidden) return;
  fresh.push(row);
  timer ??= setTimeout(tell, TOGETHER_MS);
}

function tell() {
  timer = null;
  const rows = fresh.filter((row) => needsPerson(app.rows.get(row.id) ?? row));
  fresh = [];
  if (!rows.length) return;
  for (const row of rows.slice(0, MOST_AT_ONCE)) {
    const text = t("task.waiting", { name: titleOf(row) });
    const open = () => go(`/c/${encodeURIComponent(row.id)}`);
    toast({ id: noticeOf(row.id), text, detail: reasonOf(row), kind: "waiting", ms: 12_000, action: { text: t("task.open"), run: open } });
    desktop.show({ title: text, body: reasonOf(row) ?? "", tag: `omni-${row.id}`, run: open });
  }
  const more = rows.length - MOST_AT_ONCE;
  if (more > 0) toast({ id: "task-more", text: t("task.waiting.many", { n: more }), kind: "waiting", action: { text: t("task.show"), run: () => go("/?view=waiting") } });
  chime();
}

const reasonOf = (row) => row.handoff_reason ?? row.last?.text?.slice(0, 200) ?? null;
