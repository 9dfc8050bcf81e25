// The command that makes a Secret of files.
import { expect, it } from "@effect/vitest"
import { makeSecret } from "../../../src/core/text/make-secret.ts"

it.each([
  { given: "a file that is called as its key", files: { token: "token" }, from: "--from-file=token" },
  { given: "a file of another name", files: { token: "/dev/stdin" }, from: "--from-file=token=/dev/stdin" },
  { given: "several", files: { "tls.crt": "tls.crt", "tls.key": "key.pem" }, from: "--from-file=tls.crt --from-file=tls.key=key.pem" },
  { given: "what a shell would read otherwise", files: { "$(id)": "a b" }, from: "--from-file='$(id)=a b'" }
])(
  "has each key from its file: $given",
  ({ files, from }) => expect(makeSecret("ours", "server", files)).toBe(`kubectl -n ours create secret generic server ${from}`)
)
