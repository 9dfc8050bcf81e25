// SQL without what changes nothing in it: comments, quotes around names, and how it is laid out.
// Used by the tests that compare schemas.
export const plain = (sql: string): string =>
  sql.replace(/--.*$/gmu, "").replace(/"(\w+)"/gu, "$1").replace(/\s+/gu, " ").replace(/ ?([(),]) ?/gu, "$1").trim()
