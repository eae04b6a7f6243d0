// The people of the team: who may sign in, and what each may do.

import { fill, h, said } from "../dom.js";
import { app } from "../model.js";
import { shortTime, t } from "../texts.js";
import { confirm } from "../dialog.js";
import { choice, field, form, input, say } from "./form.js";
import { linkBox } from "./link.js";

const ROLES = ["viewer", "agent", "admin"];
const roles = () => ROLES.map((role) => [role, t(`account.role.${role}`)]);

export async function show(host, signal) {
  const rows = h("ul", { class: "things operators" });
  const message = h("p", { class: "form-said", role: "status" });
  const link = h("div", {});
  const add = h("details", { class: "adding" }, h("summary", { class: "btn primary" }, t("settings.operators.add")), adding());

  function adding() {
    const fields = [
      field(t("settings.name"), input("name", { required: true, maxlength: "80", dir: "auto" })),
      field(t("settings.email"), input("email", { type: "email", required: true, inputmode: "email" })),
      field(t("settings.role"), choice("role", "agent", roles()), { hint: t("settings.role.hint") }),
    ];
    return form(fields, {
      label: t("settings.operators.add"),
      submit: t("settings.operators.add"),
      save: ({ name, email, role }) => app.api("POST", "/operators", { name: name.trim(), email: email.trim(), role }),
      done: async (made) => {
        add.open = false;
        add.lastChild.replaceWith(adding());
        showLink(made);
        await app.refreshOperators();
      },
    });
  }

  function showLink(operator) {
    fill(link, linkBox(operator, () => {
      fill(link);
      add.querySelector("summary").focus();
    }));
    link.querySelector("input").select();
  }

  function draw() {
    const focused = document.activeElement?.dataset?.act;
    const at = document.activeElement?.closest?.("li")?.dataset.id;
    const everybody = [...app.operators.values()];
    const admins = everybody.filter((one) => one.role === "admin" && !one.disabled);
    fill(rows, everybody.map((one) => row(one, admins.length === 1 && admins[0].id === one.id)));
    const again = at && focused && rows.querySelector(`[data-id="${CSS.escape(at)}"]`);
    if (again) (again.querySelector(`[data-act="${focused}"]:enabled`) ?? again.querySelector("[data-act]:enabled"))?.focus();
  }

  function row(operator, isLastAdmin) {
    const role = choice("role", operator.role, roles(), { disabled: isLastAdmin || operator.disabled, "aria-label": t("settings.role.of", { name: operator.name }), data: { act: "role" } });
    role.addEventListener("change", () => change(operator, { role: role.value }, t("settings.operators.changed", { name: operator.name, role: t(`account.role.${role.value}`) })));
    const act = (name, run, disabled = false) =>
      h("button", { type: "button", class: "btn small", disabled, data: { act: name }, "aria-label": t(`settings.operators.${name}.what`, { name: operator.name }), on: { click: run } }, t(`settings.operators.${name}`));
    return h("li", { data: { id: operator.id, disabled: operator.disabled ? "" : null } },
      h("div", { class: "thing" },
        h("p", { class: "thing-name" }, said("span", {}, operator.name), app.isMe(operator.id) ? h("span", { class: "badge" }, t("you")) : null, operator.disabled ? h("span", { class: "badge warn" }, t("settings.operators.disabled")) : null),
        h("p", { class: "thing-text" }, said("span", {}, operator.email), " · ", operator.last_seen_at ? t("settings.operators.seen", { at: shortTime(operator.last_seen_at) }) : t("settings.operators.unseen")),
        isLastAdmin ? h("p", { class: "hint" }, t("settings.operators.last")) : null),
      h("div", { class: "thing-acts" }, role,
        operator.disabled ? null : act("reset", () => reset(operator)),
        operator.disabled ? act("enable", () => change(operator, { disabled: false }, t("settings.operators.enable.done", { name: operator.name }))) : act("disable", () => disable(operator), isLastAdmin)));
  }

  async function change(operator, changes, told) {
    try {
      const answer = await app.api("PATCH", `/operators/${encodeURIComponent(operator.id)}`, changes);
      say(message, told);
      await app.refreshOperators();
      return answer;
    } catch (error) {
      say(message, error.message, "wrong");
      draw();
      return null;
    }
  }

  async function reset(operator) {
    const sure = await confirm({ title: t("settings.operators.reset.what", { name: operator.name }), text: t("settings.operators.reset.means"), yes: t("settings.operators.reset") });
    const answer = sure && (await change(operator, { reset: true }, ""));
    if (answer?.link) showLink({ ...operator, ...answer });
  }

  async function disable(operator) {
    const sure = await confirm({ title: t("settings.operators.disable.what", { name: operator.name }), text: t("settings.operators.disable.means"), yes: t("settings.operators.disable"), danger: true });
    if (sure) await change(operator, { disabled: true }, t("settings.operators.disable.done", { name: operator.name }));
  }

  await app.refreshOperators();
  app.on("operators", draw, signal);
  draw();
  fill(host, h("p", { class: "lead" }, t("settings.operators.lead")), add, link, message, rows);
}
