import Link from "next/link";
import { PageView } from "@/tracking/PageView";

export default function NotFound() {
  return (
    <div className="wrap section narrow">
      <PageView type="error" title="Not found" />
      <h1>Off the chart</h1>
      <p>There is nothing at this address. It may have been washed away, or never have been.</p>
      <p><Link href="/" className="button">Back to the harbour</Link></p>
    </div>
  );
}
