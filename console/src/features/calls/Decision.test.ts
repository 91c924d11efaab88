import { expect, test } from "vitest";
import type { Shapes } from "../../api/client";
import { inOrder } from "./Decision";

function offer(id: string, changes: Partial<Shapes["ToldOffer"]>): Shapes["ToldOffer"] {
  return { offer_id: id, offer: id, buyer_id: "", buyer: "", taken: false, code: "closed", text: "", values: {}, rank: null, price: null, ...changes };
}

test("the taken offer comes first, then those in line, then who was eligible, then who was refused", () => {
  const offers = [
    offer("closed", {}),
    offer("lower", { code: "lower_tier" }),
    offer("third", { code: "outbid", rank: 3 }),
    offer("winner", { taken: true, code: "", rank: 1 }),
    offer("second", { code: "outbid", rank: 2 }),
    offer("full", { code: "cap_full" }),
  ];
  expect(inOrder(offers).map((one) => one.offer_id)).toEqual(["winner", "second", "third", "lower", "closed", "full"]);
});
