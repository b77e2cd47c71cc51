// One customer with two devices: browses anonymously, logs in on both, buys on both. All through the real SDK.
//
//   node visit.mjs HOST WRITE_KEY NAME
//
// NAME keeps the customers of two runs apart.
import { Analytics } from "@segment/analytics-node";

const [host, writeKey, name] = process.argv.slice(2);
const analytics = new Analytics({ host, writeKey, flushAt: 4, flushInterval: 100, maxRetries: 3 });
const failures = [];
analytics.on("error", (error) => failures.push(error));

const laptop = { anonymousId: `${name}-laptop` };
const phone = { anonymousId: `${name}-phone` };
const user = { userId: `${name}-ada` };
const earlier = new Date(Date.now() - 2 * 60 * 60 * 1000);
const campaign = { campaign: { name: "spring", source: "newsletter", medium: "email" } };

const order = (id, total) => ({
  event: "Order Completed",
  properties: {
    order_id: `${name}-${id}`,
    total,
    currency: "EUR",
    products: [{ product_id: "p1", name: "Coffee", price: total, quantity: 1 }],
  },
});

// An anonymous visit two hours ago: one session of three touchpoints.
analytics.page({ ...laptop, name: "Home", timestamp: earlier, context: campaign, properties: { url: "https://shop.example/" } });
analytics.page({ ...laptop, name: "Coffee", timestamp: new Date(earlier.getTime() + 1000) });
analytics.track({ ...laptop, event: "Product Viewed", timestamp: new Date(earlier.getTime() + 2000), properties: { product_id: "p1" } });

// Now she logs in there and buys.
analytics.identify({ ...laptop, ...user, traits: { email: ` ${name}.Ada@Shop.Example `, city: "Lyon" } });
analytics.track({ ...laptop, ...user, ...order("first", 59.9) });

// On the phone she looks, logs in, and buys again.
analytics.screen({ ...phone, name: "Start" });
analytics.identify({ ...phone, ...user });
analytics.track({ ...phone, ...user, ...order("second", 20.1) });

await analytics.closeAndFlush({ timeout: 30_000 });
if (failures.length > 0) {
  console.error(failures);
  process.exit(1);
}
