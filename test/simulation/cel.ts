// The part of CEL that the CRD's rules are written in, so that the model enforces the same text that the API server gets.
// A missing field is an error, as in CEL, and a rule with an error does not hold; `has` tells whether a field is there.
// Used by test/simulation/custom-resource.
import { Predicate } from "effect"
import { same } from "./same.ts"

type Scope = Readonly<Record<string, unknown>>
type Expression = (scope: Scope) => unknown

const tokens = (text: string): Array<string> => text.match(/'[^']*'|"[^"]*"|\d+|[A-Za-z_]\w*|&&|\|\||[=!<>]=|[-+!<>()[\]{}.,:?]/gu) ?? []

/** The value of an expression that has none. Operators other than `||` and `&&` pass it on; `has` and methods do not. */
const error = Symbol("error")

const member = (value: unknown, name: PropertyKey): unknown =>
  Predicate.hasProperty(value, name) && value[name] !== undefined ? value[name] : error

const methods: Readonly<Record<string, (on: unknown, apply: (each: unknown) => unknown) => unknown>> = {
  size: (on) => typeof on === "string" ? [...on].length : Array.isArray(on) ? on.length : Object.keys(on ?? {}).length,
  filter: (on, holds) => Array.isArray(on) ? on.filter((each) => holds(each) === true) : [],
  all: (on, holds) => (Array.isArray(on) ? on : Predicate.isObject(on) ? Object.keys(on) : [error]).every((each) => holds(each) === true),
  exists: (on, holds) => Array.isArray(on) && on.some((each) => holds(each) === true)
}

const numeric = (operator: string) => (a: unknown, b: unknown): boolean =>
  operator === "<"
    ? Number(a) < Number(b)
    : operator === ">"
    ? Number(a) > Number(b)
    : operator === "<="
    ? Number(a) <= Number(b)
    : Number(a) >= Number(b)

const within = (value: unknown, all: unknown): boolean =>
  Array.isArray(all) ? all.some((each) => same(each, value)) : Predicate.hasProperty(all, String(value))

const comparisons: Readonly<Record<string, (a: unknown, b: unknown) => boolean>> = {
  "==": same,
  "!=": (a, b) => !same(a, b),
  "<": numeric("<"),
  ">": numeric(">"),
  "<=": numeric("<="),
  ">=": numeric(">="),
  in: within
}

/** Returns `||` (`by` is true) or `&&` (`by` is false); a side that decides the result does so even if the other one is an error. */
const decided = (first: Expression, rest: Expression, by: boolean): Expression => (scope) => {
  const left = first(scope)
  if (left === by) return by
  const right = rest(scope)
  return right === by ? by : left === error ? error : right
}

class Parser {
  readonly #tokens: Array<string>
  constructor(text: string) {
    this.#tokens = tokens(text)
  }
  #take(wanted?: string): string {
    const token = this.#tokens.shift()
    if (token === undefined || (wanted !== undefined && token !== wanted)) throw new Error(`expected ${wanted ?? "more"}, found ${token}`)
    return token
  }
  #next(token: string): boolean {
    if (this.#tokens[0] !== token) return false
    this.#tokens.shift()
    return true
  }
  whole(): Expression {
    const parsed = this.#either()
    if (this.#tokens.length > 0) throw new Error(`cannot read ${this.#tokens.join(" ")}`)
    return parsed
  }
  #either(): Expression {
    const first = this.#both()
    if (!this.#next("||")) return first
    const rest = this.#either()
    return decided(first, rest, true)
  }
  #both(): Expression {
    const first = this.#compared()
    if (!this.#next("&&")) return first
    const rest = this.#both()
    return decided(first, rest, false)
  }
  #compared(): Expression {
    const left = this.#unary()
    const compare = comparisons[this.#tokens[0] ?? ""]
    if (compare === undefined) return left
    this.#take()
    const right = this.#unary()
    return (scope) => {
      const [a, b] = [left(scope), right(scope)]
      return a === error || b === error ? error : compare(a, b)
    }
  }
  #unary(): Expression {
    if (!this.#next("!")) return this.#postfix()
    const inner = this.#unary()
    return (scope) => {
      const value = inner(scope)
      return value === error ? error : value !== true
    }
  }
  #postfix(): Expression {
    let value = this.#primary()
    for (;;) {
      const of = value
      if (this.#next("[")) {
        const index = this.#either()
        this.#take("]")
        value = (scope) => {
          const key = index(scope)
          return key === error ? error : member(of(scope), String(key))
        }
      } else if (this.#next(".")) {
        const name = this.#take()
        value = this.#next("(") ? this.#method(of, name) : (scope) => member(of(scope), name)
      } else return value
    }
  }
  #method(of: Expression, name: string): Expression {
    const method = methods[name]
    if (method === undefined) throw new Error(`unknown method ${name}`)
    if (this.#next(")")) return (scope) => method(of(scope), () => undefined)
    const variable = this.#take()
    this.#take(",")
    const body = this.#either()
    this.#take(")")
    return (scope) => method(of(scope), (each) => body({ ...scope, [variable]: each }))
  }
  #list(end: string): Array<Expression> {
    const items: Array<Expression> = []
    while (!this.#next(end)) {
      items.push(this.#either())
      this.#next(",")
    }
    return items
  }
  #primary(): Expression {
    const token = this.#take()
    if (token === "(") {
      const inner = this.#either()
      this.#take(")")
      return inner
    }
    if (token === "[") {
      const items = this.#list("]")
      return (scope) => items.map((item) => item(scope))
    }
    if (token === "{") {
      const entries: Array<readonly [Expression, Expression]> = []
      while (!this.#next("}")) {
        const key = this.#either()
        this.#take(":")
        entries.push([key, this.#either()])
        this.#next(",")
      }
      return (scope) => Object.fromEntries(entries.map(([key, value]) => [String(key(scope)), value(scope)]))
    }
    if (token === "has") {
      this.#take("(")
      const field = this.#either()
      this.#take(")")
      return (scope) => field(scope) !== error
    }
    if (/^['"]/u.test(token)) return () => token.slice(1, -1)
    if (/^\d/u.test(token)) return () => Number(token)
    if (token === "true" || token === "false") return () => token === "true"
    return (scope) => member(scope, token)
  }
}

/** Parses the rule and returns a function that reports whether it holds. */
export const rule = (text: string): (scope: Scope) => boolean => {
  const holds = new Parser(text).whole()
  return (scope) => holds(scope) === true
}
