// Which labels a selector of kubectl or of a request selects, of the kind `a=b,c!=d`. As in Kubernetes, `!=` selects what lacks the label too.
// Used by the tests of bundle and of docs/values.md.

export const isSelected = (selector: string, labels: Readonly<Record<string, string>> = {}): boolean =>
  selector.split(",").every((term) => {
    const [, key = "", not, value] = /^(.*?)(!?)=(.*)$/u.exec(term) ?? []
    return (labels[key] === value) === (not === "")
  })
