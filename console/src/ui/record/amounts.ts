/** The amount with its other sign: what is owed by one is owed to the other. */
export function turned(amount: string): string {
  if (/^-?[0.]*$/.test(amount)) return amount;
  return amount.startsWith("-") ? amount.slice(1) : `-${amount}`;
}
