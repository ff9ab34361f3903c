// Verifies pushed webhooks with the package `standardwebhooks` (its folder is the first
// argument, the secret is the first line of standard input). Each further line is {"headers": ...,
// "body": base64}; each answer is a line with the type of the event, or "refused".
const { Webhook } = require(process.argv[2]);
const lines = require("node:readline").createInterface({ input: process.stdin });
let webhook = null;
lines.on("line", (line) => {
  if (!webhook) {
    webhook = new Webhook(line);
    return;
  }
  const { headers, body } = JSON.parse(line);
  try {
    console.log(webhook.verify(Buffer.from(body, "base64").toString(), headers).type);
  } catch (error) {
    console.log("refused");
  }
});
