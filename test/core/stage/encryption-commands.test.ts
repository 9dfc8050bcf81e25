// Which files make an engine run commands that no plan shows. Each form that counts was run by OpenTofu 1.12.6.
import { describe, expect, it } from "@effect/vitest"
import { commandIn, commandInVariable, runsCommands } from "../../../src/core/stage/encryption-commands.ts"
import { costOf } from "../../cost.ts"

const hcl = (inside: string) => `terraform {\n  encryption {\n    ${inside}\n  }\n}\n`
const json = (encryption: string) => `{"terraform": {"encryption": ${encryption}}}`
const passphrase = (text: string) => `key_provider "pbkdf2" "p" {\n  passphrase = ${text}\n}\n`
const external = `key_provider "external" "k" { command = ["./run.sh"] }`

describe("commandIn", () => {
  it.each([
    { given: "a key provider", text: external, found: "key_provider external" },
    { given: "a method", text: `method "external" "m" {\n encrypt_command = ["a"]\n}`, found: "method external" },
    { given: "one whose type is escaped", text: external.replace("external", "ext\\u0065rnal"), found: "key_provider ext\\u0065rnal" },
    { given: "one without quotes", text: `key_provider external k {`, found: "key_provider external" },
    { given: "one without blanks", text: `method"external""m"{`, found: "method external" },
    { given: "one of an engine that is not known yet", text: `key_provider "shell" "k" {`, found: "key_provider shell" },
    { given: "one after another", text: `key_provider "pbkdf2" "a" {\n}\n${external}`, found: "key_provider external" },
    { given: "one in comments", text: `/* /* */ key_provider /*\n*/"external" /* { */ k /*\n*/ {`, found: "key_provider" },
    { given: "one with a quote in its name", text: `key_provider "external" "k\\"" {`, found: "key_provider external" },
    { given: "one with a comment after its name", text: `key_provider "external" "k" /*\n*/ {`, found: "key_provider external" },
    {
      given: "one behind what looks like a comment",
      text: `${passphrase("<<E\n/* 1234567890123456\nE")}${external}\n/* b */`,
      found: "key_provider external"
    },
    {
      given: "one behind a text with an end of line of its own",
      text: `${passphrase("\"1234567890123456\u2028/*\"")}${external}\n/* */`,
      found: "key_provider external"
    },
    { given: "one behind the end of a comment", text: `/* a */ /* b\n# */ ${external}\n/* */`, found: "key_provider external" },
    {
      given: "one behind a comment whose end looks like a beginning",
      text: `/* a */ /* b\n/*/ ${external}\n/* */`,
      found: "key_provider external"
    },
    { given: "one between comments", text: `# /*\n/***/ ${external}\n/* */`, found: "key_provider external" },
    { given: "one with a comment after its type", text: `key_provider "external" /*\n*/ "k" {`, found: "key_provider external" },
    {
      given: "a file with a credential_process",
      text: `key_provider "aws_kms" "k" {\n  shared_config_files = ["./aws"]\n}`,
      found: "key_provider aws_kms"
    }
  ])("finds $given", ({ found, text }) => {
    expect(commandIn("main.tofu", hcl(text), {})).toBe(found)
    expect(commandInVariable(text, {})).toBe(found)
  })

  it.each([
    { given: "a key provider", text: `{"key_provider": {"external": {"k": {}}}}`, found: "external" },
    { given: "one that is escaped", text: `{"key_\\u0070rovider": [{"ext\\u0065rnal": {}}]}`, found: "external" },
    { given: "one whose key comes twice", text: `{"method": {"external": {}}, "method": {"aes_gcm": {}}}`, found: "external" },
    { given: "a file", text: `{"key_provider": {"aws_kms": {"k": {"shared\\u005fcredentials_files": []}}}}`, found: "aws_kms" }
  ])("finds in JSON $given", ({ found, text }) => {
    expect(commandIn("main.tf.json", json(text), {})).toBe(found)
    expect(commandInVariable(text, {})).toBe(found)
  })

  it.each([
    { given: "what runs nothing", text: hcl(`key_provider "pbkdf2" "k" {\n}\nmethod aes_gcm m {\n  keys = key_provider.pbkdf2.k\n}`) },
    { given: "keys in a cloud", text: hcl(`key_provider "aws_kms" "k" {\n  profile = "p"\n}\nstate {\n  method = method.aes_gcm.m\n}`) },
    { given: "comments of lines", text: hcl(`  # ${external}\n//${external}`) },
    { given: "comments", text: hcl(`  /* ${external} */\n/*\n${external}*/`) },
    { given: "no encryption", text: `resource "a" "b" {\n  method "external" "m" {\n  }\n}\n` },
    { given: "a word", text: `${hcl(`method "unencrypted" "m" {\n}`)}variable "method" { default = 1 }\n# the method is in x\n` },
    { given: "a sentence", text: `${hcl("")}# a method of {x}\nlocals {\n  a = <<T\nThis method returns { a }, {method "POST"}\nT\n}\n` },
    { given: "a loop", text: `${hcl("")}locals {\n  a = { for k, method in { a = 1 } : k => "x" if method != {} }\n}\n` },
    {
      given: "JSON with both words elsewhere",
      text: `{"data": {"external": {"a": {}}, "http": {"b": {"method": "GET"}}}}`,
      name: "cdk.tf.json"
    },
    { given: "JSON that runs nothing", text: json(`{"key_provider": {"pbkdf2": {}}}`), name: "main.tf.json" },
    { given: "a data source in JSON", text: `{"data": {"external": {"a": {}}}}`, name: "main.tf.json" }
  ])("finds nothing in $given", ({ name = "main.tf", text }) => expect(commandIn(name, text, {})).toBeUndefined())

  it.each(["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"])("finds a file with a credential_process that %s names", (name) => {
    const text = `key_provider "aws_kms" "k" {`
    expect(commandIn("main.tf", hcl(text), { [name]: "./aws" })).toBe("key_provider aws_kms")
    expect(commandIn("main.tf.json", json(`{"key_provider": {"aws_kms": {}}}`), { [name]: "./aws" })).toBe("aws_kms")
    expect(commandInVariable(text, { [name]: "./aws" })).toBe("key_provider aws_kms")
    expect(commandIn("main.tf", hcl(text), { [name]: "" })).toBeUndefined()
  })

  it.each([
    "key_provider a ",
    "method /",
    "key_provider",
    "method \"",
    "encryption ",
    "{\n",
    "method\t{",
    "method \"a\" \"",
    "method a ",
    "\\u006",
    "/*\n",
    "\n<<",
    " "
  ])("needs no longer than a moment for a text that is made to last, of %j", (part) => {
    const text = part.repeat(2 ** 20 / part.length)
    const read = () => [commandInVariable(text, {}), commandIn("main.tf", text, {})]
    expect(costOf(1, read)).toBeLessThan(1)
  })
})

it("are named five at most", () =>
  expect(runsCommands(["a", "b", "c", "d", "e", "f"])).toMatch(
    /; no plan shows them, so read them before you approve: a, b, c, d, e and 1 more$/u
  ))
