import type { Metadata } from "next";
import { AccountView } from "@/components/account/AccountView";
import { PageView } from "@/tracking/PageView";

export const metadata: Metadata = { title: "Log in" };

export default function LogInPage() {
  return (
    <div className="wrap section narrow">
      <PageView type="login" title="Log in" />
      <AccountView />
    </div>
  );
}
