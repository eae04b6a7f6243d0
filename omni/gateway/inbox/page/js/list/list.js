import { h } from "../dom.js";
customElements.define("omni-list", class extends HTMLElement { connectedCallback() { this.append(h("p", null, "…")); } });
