// How fast 20 secrets are taken out of a log: of plain text, of coloured text, and of text that again and again begins like a secret.
// Measured in processor time, so that other programs on the machine do not count; the work has one thread.
// Used by main.ts.
import { begin, redactor } from "../../src/core/text/redact.ts"
import type { Figure } from "./figure.ts"

const secrets = Array.from(
  { length: 20 },
  (_, at) => `${"tokenpasswordkeycredential".slice(at, at + 7)}-${at}-${"abcdefghijklmnopqrstuvwxyz0123456789".slice(at, at + 16)}`
)
const logs = {
  "plain": "aws_instance.web[12]: Still creating... [10s elapsed] id=i-0123456789abcdef0 arn:aws:ec2:eu-west-1:123456789012:instance\n",
  "coloured":
    "\u001b[0m\u001b[1maws_instance.web[12]: Still creating... [10s elapsed]\u001b[0m \u001b[32mid=i-0123456789abcdef0\u001b[0m arn:aws:ec2:eu-west-1\n",
  "half secrets": `${secrets[3]?.slice(0, 12)} ${secrets[7]?.slice(0, 20)} ${secrets[11]} \n`
}
const chunkBytes = 64 * 1024
const megabytes = 50
const turns = 5

const once = (log: string): number => {
  const chunk = new TextEncoder().encode(log.repeat(Math.ceil(chunkBytes / log.length))).subarray(0, chunkBytes)
  const { end, next } = redactor(secrets)
  let state = begin
  const began = process.cpuUsage()
  for (let done = 0; done < megabytes * 1_000_000; done += chunkBytes) [state] = next(state, chunk)
  end(state)
  const { system, user } = process.cpuUsage(began)
  return (system + user) / 1000
}

export const redactFigures = (say: (what: string) => void): ReadonlyArray<Figure> =>
  Object.entries(logs).map(([kind, log]) => {
    say(`20 secrets out of ${megabytes} MB, ${kind}`)
    once(log)
    return {
      what: `20 secrets out of ${megabytes} MB of log, ${kind}`,
      unit: "ms",
      budget: 1000,
      values: Array.from({ length: turns }, () => once(log))
    }
  })
