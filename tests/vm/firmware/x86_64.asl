// What the x86_64 guest's firmware tells about clocks and power: six operating
// points for each CPU, a thermal zone that throttles them, a power meter.
//
// The "hardware registers" are page registers of the emulated i8257 DMA
// controller: bytes that keep what is written and do nothing. Cases write them
// through /dev/port (tests/vm/guest/registers.rs):
//   0x81, 0x82  operating point of CPU 0, 1 (written by the kernel's driver)
//   0x89        temperature in C
//   0x8A        the firmware's cap: the highest operating point allowed (0 = all),
//               told to the kernel when the temperature is read next
//   0x8B        power in quarters of a watt
DefinitionBlock ("clocks.aml", "SSDT", 2, "E4", "CLOCKS", 1)
{
  External (\_SB.CPUS.C000, DeviceObj)
  External (\_SB.CPUS.C001, DeviceObj)

  OperationRegion (REGS, SystemIO, 0x89, 3)
  Field (REGS, ByteAcc, NoLock, Preserve) { TEMP, 8, CAP, 8, WATT, 8 }
  Name (\TOLD, 0xFF)

  // frequency MHz, power mW, latencies us, control, status
  Name (\PNTS, Package () {
    Package () { 1984, 7000, 10, 10, 0, 0 },
    Package () { 1728, 5600, 10, 10, 1, 1 },
    Package () { 1344, 3800, 10, 10, 2, 2 },
    Package () { 1036, 2600, 10, 10, 3, 3 },
    Package () {  729, 1700, 10, 10, 4, 4 },
    Package () {  422, 1000, 10, 10, 5, 5 }
  })

  Scope (\_SB.CPUS.C000) {
    Name (_PCT, Package () {
      ResourceTemplate () { Register (SystemIO, 8, 0, 0x81) },
      ResourceTemplate () { Register (SystemIO, 8, 0, 0x81) } })
    Method (_PSS) { Return (\PNTS) }
    Method (_PPC) { Return (CAP) }
    Name (_PSD, Package () { Package () { 5, 0, 0, 0xFD, 1 } })
  }
  Scope (\_SB.CPUS.C001) {
    Name (_PCT, Package () {
      ResourceTemplate () { Register (SystemIO, 8, 0, 0x82) },
      ResourceTemplate () { Register (SystemIO, 8, 0, 0x82) } })
    Method (_PSS) { Return (\PNTS) }
    Method (_PPC) { Return (CAP) }
    Name (_PSD, Package () { Package () { 5, 0, 1, 0xFD, 1 } })
  }

  Scope (\_TZ) {
    ThermalZone (TZ00) {
      Method (_TMP) {
        If (LNotEqual (CAP, \TOLD)) {
          Store (CAP, \TOLD)
          Notify (\_SB.CPUS.C000, 0x80)
          Notify (\_SB.CPUS.C001, 0x80)
        }
        Return (Add (2732, Multiply (TEMP, 10)))   // tenths of a kelvin
      }
      Name (_CRT, 3832)                            // 110 C
      Name (_PSV, 3432)                            // 70 C
      Name (_TC1, 1)
      Name (_TC2, 5)
      Name (_TSP, 10)
      Name (_PSL, Package () { \_SB.CPUS.C000, \_SB.CPUS.C001 })
      Name (_TZP, 10)
    }
  }

  Scope (\_SB) {
    Device (PMTR) {
      Name (_HID, "ACPI000D")
      Name (_UID, 0)
      Name (_PMC, Package () { 1, 0, 1, 95000, 1000, 1000, 60000, 0, 0, 0, 0, "E4", "1", "rail" })
      Method (_PMM) { Return (Multiply (WATT, 250)) }   // mW
      Method (_GAI) { Return (1000) }
      Method (_PAI, 1) { Return (0) }
      Name (_PMD, Package () { })
    }
  }
}
