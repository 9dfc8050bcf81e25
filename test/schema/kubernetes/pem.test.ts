// Which texts hold a certificate, as far as their form goes.
import { expect, it } from "@effect/vitest"
import { holdsCertificate } from "../../../src/schema/kubernetes/pem.ts"

const [begin, end] = ["-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n"]

it.each([
  { given: "one certificate", text: `${begin}MIIB\n${end}`, holds: true },
  { given: "a bundle with remarks", text: `# ours\n${begin}MIIB\n${end}\n# theirs\n${begin}MIIC\n${end}`, holds: true },
  { given: "nothing", text: "", holds: false },
  { given: "something else", text: "<html>not found</html>", holds: false },
  { given: "a certificate without its end", text: `${begin}MIIB\n`, holds: false },
  { given: "a certificate without its beginning", text: `MIIB\n${end}`, holds: false },
  { given: "the end of one and the beginning of the next", text: `MIIB\n${end}${begin}MIIC\n`, holds: false },
  { given: "a private key", text: "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", holds: false }
])("a text of $given holds a certificate: $holds", ({ holds, text }) => expect(holdsCertificate(text)).toBe(holds))
