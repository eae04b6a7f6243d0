// omni's user: it reads and writes its own database, and nothing else. The image of MongoDB runs this once, when its
// volume is empty; elsewhere: mongosh -u root <address> infra/mongodb/user.js
const file = "/run/secrets/mongo_omni_password";
const fs = require("fs");
const password = fs.existsSync(file) ? fs.readFileSync(file, "utf8").trim() : passwordPrompt();
db.getSiblingDB("omni").createUser({
  user: "omni",
  pwd: password,
  roles: [{ role: "readWrite", db: "omni" }],
});
