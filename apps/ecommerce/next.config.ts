import type { NextConfig } from "next";

// All that a page loads comes from this host. Only connections may go elsewhere: the collector's
// address is known at run time, not here. Next's own start script is inline.
const policy = [
  "default-src 'self'",
  "script-src 'self' 'unsafe-inline'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self' http: https:",
  "frame-ancestors 'none'",
  "base-uri 'self'",
  "form-action 'self'",
].join("; ");

const headers = [
  { key: "X-Content-Type-Options", value: "nosniff" },
  { key: "Referrer-Policy", value: "strict-origin-when-cross-origin" },
];
if (process.env.NODE_ENV === "production") headers.push({ key: "Content-Security-Policy", value: policy });

const config: NextConfig = {
  // NEXT_OUTPUT=standalone makes the folder that a small container image needs.
  output: process.env.NEXT_OUTPUT === "standalone" ? "standalone" : undefined,
  outputFileTracingRoot: import.meta.dirname,
  turbopack: { root: import.meta.dirname },
  // The development server answers to localhost by itself; this is its other name.
  allowedDevOrigins: ["127.0.0.1"],
  poweredByHeader: false,
  reactStrictMode: true,
  images: { unoptimized: true },
  // A browser that sees a page before its icon's link asks for this name.
  rewrites: async () => [{ source: "/favicon.ico", destination: "/icon.svg" }],
  headers: async () => [{ source: "/:path*", headers }],
};

export default config;
