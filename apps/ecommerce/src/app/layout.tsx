import type { Metadata, Viewport } from "next";
import type { ReactNode } from "react";
import { Footer } from "@/components/frame/Footer";
import { Header } from "@/components/frame/Header";
import { PromoStrip } from "@/components/promo/Promotions";
import { Notes } from "@/components/reactions/Notes";
import { LivePanel } from "@/live/panel/LivePanel";
import { TrackingStart } from "@/tracking/TrackingStart";
import "@/styles/index.css";

export const metadata: Metadata = {
  title: { default: "Oddharbour: goods for shore and weather", template: "%s · Oddharbour" },
  description: "A demonstration shop that shows what it learns about you, while it learns it.",
};

export const viewport: Viewport = { themeColor: "#0b2036" };

// Before the first paint, so that an open panel does not move the page after it.
const restorePanel = `try{if(sessionStorage.getItem("oddharbour.panel")==="true")document.documentElement.dataset.panel="open"}catch{}`;

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en" data-scroll-behavior="smooth" suppressHydrationWarning>
      <head>
        <script dangerouslySetInnerHTML={{ __html: restorePanel }} />
      </head>
      <body>
        <TrackingStart />
        <a className="skip" href="#content">Skip to the content</a>
        <PromoStrip />
        <Header />
        <main id="content" tabIndex={-1}>{children}</main>
        <Footer />
        <Notes />
        <LivePanel />
      </body>
    </html>
  );
}
