/** Where the page begins: sign in, load what everything needs, then show it and keep it live. */

import { signIn } from "./signin.js";
import { startShell } from "./shell/shell.js";
import { applyTheme, prefs } from "./prefs.js";
import { closest, setLanguage } from "./texts.js";

applyTheme();
setLanguage(closest([prefs.get("language"), ...navigator.languages]));

await signIn();
await startShell();
