package io.pluresdb.harness.rules;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideOutsideOfPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.type;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaMethodCall;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchRule;
import io.pluresdb.crdt.engine.ReplicaStore;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Clock;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Collection;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.BaseStream;
import org.junit.jupiter.api.Test;

/** The arrows between modules and packages, and what the core must not ask for. */
class PackageRulesTest {
  private static final JavaClasses PRODUCT =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages("io.pluresdb");

  private static final List<String> MODULES =
      List.of("crdt", "storage", "transport", "client", "daemon", "test-harness");

  /** A method by its name, whatever its parameters. */
  private static DescribedPredicate<JavaMethodCall> target(Class<?> owner, String name) {
    return DescribedPredicate.describe(
        owner.getSimpleName() + "." + name,
        call ->
            call.getTarget().getName().equals(name) && call.getTargetOwner().isAssignableTo(owner));
  }

  private static void check(ArchRule rule) {
    rule.allowEmptyShould(true).check(PRODUCT);
  }

  private static void only(String module, String... allowed) {
    var others = resideInAnyPackage("io.pluresdb..").and(not(resideInAnyPackage(allowed)));
    check(noClasses().that().resideInAPackage(module).should().dependOnClassesThat(others));
  }

  @Test
  void rules_seeWhatTheyForbid() {
    var calls = noClasses().should().callMethodWhere(target(System.class, "nanoTime"));
    assertThat(calls.evaluate(PRODUCT).hasViolation()).isTrue();
    var imports = noClasses().should().dependOnClassesThat().resideInAPackage("org.rocksdb..");
    assertThat(imports.evaluate(PRODUCT).hasViolation()).isTrue();
    var slices = slices().matching("io.pluresdb.crdt.(*)..").should().notDependOnEachOther();
    assertThat(slices.evaluate(PRODUCT).hasViolation()).isTrue();
  }

  @Test
  void modules_importOnlyAlongTheArrows() {
    only("io.pluresdb.crdt..", "io.pluresdb.crdt..");
    only("io.pluresdb.storage..", "io.pluresdb.storage..", "io.pluresdb.crdt..");
    only("io.pluresdb.transport..", "io.pluresdb.transport..");
    only("io.pluresdb.client..", "io.pluresdb.client..");
    only(
        "io.pluresdb.daemon..",
        "io.pluresdb.daemon..",
        "io.pluresdb.storage..",
        "io.pluresdb.transport..",
        "io.pluresdb.client..",
        "io.pluresdb.crdt..");
  }

  @Test
  void rocks_isImportedByItsPackageOnly() {
    check(
        noClasses()
            .that()
            .resideOutsideOfPackage("io.pluresdb.storage.rocks..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("org.rocksdb.."));
  }

  @Test
  void searchEngines_areImportedByTheirPackagesOnly() {
    check(
        noClasses()
            .that()
            .resideOutsideOfPackage("io.pluresdb.storage.text..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("org.apache.lucene.."));
    check(
        noClasses()
            .that()
            .resideOutsideOfPackage("io.pluresdb.storage.vector..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("io.github.jbellis.."));
    check(
        noClasses()
            .that()
            .resideOutsideOfPackage("io.pluresdb.storage.embedding..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("ai.onnxruntime.."));
  }

  @Test
  void netty_isImportedAtTheRimOnly() {
    check(
        noClasses()
            .that()
            .resideOutsideOfPackages(
                "io.pluresdb.transport.net..",
                "io.pluresdb.transport.lan..",
                "io.pluresdb.daemon.api..",
                "io.pluresdb.daemon.node..",
                "io.pluresdb.daemon.replication..",
                // What a relay is measured beside.
                "io.pluresdb.harness.bench..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("io.netty.."));
  }

  @Test
  void core_usesOnlyTheLibrariesItMay() {
    check(
        classes()
            .that()
            .resideInAPackage("io.pluresdb.crdt..")
            .should()
            .onlyDependOnClassesThat()
            .resideInAnyPackage(
                "io.pluresdb.crdt..",
                "java..",
                "com.fasterxml.jackson..",
                "org.bouncycastle..",
                "org.jspecify.."));
  }

  @Test
  void client_needsTheJdkOnly() {
    check(
        classes()
            .that()
            .resideInAPackage("io.pluresdb.client..")
            .should()
            .onlyDependOnClassesThat()
            .resideInAnyPackage("io.pluresdb.client..", "java..", "org.jspecify.."));
  }

  @Test
  void core_readsNeitherClockNorEntropy() {
    var core = noClasses().that().resideInAPackage("io.pluresdb.crdt..");
    check(core.should().callMethodWhere(target(Instant.class, "now")));
    check(core.should().callMethodWhere(target(System.class, "currentTimeMillis")));
    check(core.should().callMethodWhere(target(UUID.class, "randomUUID")));
    check(core.should().callMethodWhere(target(Math.class, "random")));
    check(core.should().callMethodWhere(target(InstantSource.class, "system")));
    check(core.should().dependOnClassesThat(type(Clock.class)));
    check(core.should().dependOnClassesThat(type(ThreadLocalRandom.class)));
    check(core.should().dependOnClassesThat(type(SecureRandom.class)));
    check(core.should().callMethodWhere(target(Collection.class, "parallelStream")));
    check(core.should().callMethodWhere(target(BaseStream.class, "parallel")));
    // The replica loop measures how long it waits; what it measures reaches no replica.
    check(
        noClasses()
            .that()
            .resideInAPackage("io.pluresdb.crdt..")
            .and(not(type(ReplicaStore.class)))
            .should()
            .callMethodWhere(target(System.class, "nanoTime")));
  }

  @Test
  void packagesOfTheCore_haveNoCycles() {
    // The root of the core holds what every package uses.
    var roots = resideOutsideOfPackage("io.pluresdb.crdt");
    check(slices().matching("io.pluresdb.crdt.(*)..").should().beFreeOfCycles());
    check(
        noClasses()
            .that()
            .resideInAPackage("io.pluresdb.crdt")
            .should()
            .dependOnClassesThat(roots.and(resideInAnyPackage("io.pluresdb.crdt.."))));
  }

  @Test
  void packagesOfTheOtherModules_haveNoCycles() {
    check(slices().matching("io.pluresdb.storage.(*)..").should().beFreeOfCycles());
    check(slices().matching("io.pluresdb.transport.(*)..").should().beFreeOfCycles());
    check(slices().matching("io.pluresdb.daemon.(*)..").should().beFreeOfCycles());
    check(slices().matching("io.pluresdb.harness.(*)..").should().beFreeOfCycles());
  }

  /** Tests of other modules are not on this class path: their compiled classes are read instead. */
  @Test
  void nobody_sleeps() {
    Path root = Path.of(System.getProperty("pluresdb.root", ".."));
    List<Path> directories =
        MODULES.stream()
            .map(module -> root.resolve(module).resolve("target"))
            .flatMap(target -> List.of("classes", "test-classes").stream().map(target::resolve))
            .filter(Files::isDirectory)
            .toList();
    JavaClasses everything = new ClassFileImporter().importPaths(directories);
    noClasses().should().callMethodWhere(target(Thread.class, "sleep")).check(everything);
  }
}
