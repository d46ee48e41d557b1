// JSON with whole numbers of any length.

/** As JSON.stringify, with BigInt written as a number: for claims and explanations, whose times are BigInt. */
export function toJson(value) {
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return `[${value.map((item) => toJson(item === undefined ? null : item)).join()}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${toJson(member)}`).join()}}`;
}

/** JSON whose numbers are whole and may be longer than a `number` holds: a user id that is rounded is another user's. */
export function fromJson(text) {
  const marked = text.replace(/"(?:[^"\\]|\\.)*"|-?\d+/g, (part) => (part[0] === '"' ? part : `{"$":"${part}"}`));
  return JSON.parse(marked, (_, value) => (typeof value?.$ === "string" ? BigInt(value.$) : value));
}
