/** dpkg's status file (dpkg(1), FILES: /var/lib/dpkg/status): a paragraph a package, in the form of deb-control(5). */

export interface DpkgPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
  /** False of one whose settings alone are left (dpkg-query(1), Package status). */
  readonly installed: boolean;
}

const wanted = /^(Package|Version|Architecture|Status): (.+)$/gm;

/** Every paragraph that has a name and a version. The file is some ten megabytes at most, and is gone through once. */
export function* dpkgPackages(status: string): Generator<DpkgPackage> {
  for (const paragraph of status.split("\n\n")) {
    const fields = new Map<string, string>();
    for (const [, field = "", value = ""] of paragraph.matchAll(wanted)) fields.set(field, value.trim());
    const [name, version] = [fields.get("Package"), fields.get("Version")];
    if (name === undefined || version === undefined) continue;
    const architecture = fields.get("Architecture") ?? "";
    yield { name, version, architecture, installed: / installed$/.test(fields.get("Status") ?? "") };
  }
}
