 void @"gemm_f32_2x8_generic_px_tail"(i64 %".1", i64 %".2", i64 %".3", i64 %".4", i64 %".5", i64 %".6", i64 %".7", i64 %".8", i64 %".9", i64 %".10", i64 %".11", i64 %".12", i64 %".13", i64 %".14", i64 %".15")
{
.17:
  %".18" = icmp slt i64 %".13", 4
  %".19" = select  i1 %".18", i64 %".13", i64 4
  %".20" = trunc i64 %".19" to i32
  %".21" = insertelement <4 x i32> <i32 undef, i32 undef, i32 undef, i32 undef>, i32 %".20", i32 0
  %".22" = shufflevector <4 x i32> %".21", <4 x i32> <i32 undef, i32 undef, i32 undef, i32 undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".23" = icmp slt <4 x i32> <i32 0, i32 1, i32 2, i32 3>, %".22"
  %".24" = inttoptr i64 %".3" to i8*
  %".25" = inttoptr i64 %".2" to i8*
  %".26" = inttoptr i64 %".4" to i8*
  %".27" = inttoptr i64 %".6" to i8*
  call void @"llvm.prefetch.p0"(i8* %".27", i32 1, i32 3, i32 1)
  %".29" = getelementptr i8, i8* %".27", i64 16
  call void @"llvm.prefetch.p0"(i8* %".29", i32 1, i32 3, i32 1)
  %".31" = getelementptr i8, i8* %".27", i64 %".7"
  call void @"llvm.prefetch.p0"(i8* %".31", i32 1, i32 3, i32 1)
  %".33" = getelementptr i8, i8* %".31", i64 16
  call void @"llvm.prefetch.p0"(i8* %".33", i32 1, i32 3, i32 1)
  %".35" = getelementptr i8, i8* %".31", i64 %".7"
  %".36" = inttoptr i64 %".15" to i8*
  br label %"loop"
loop:
  %".38" = phi  i64 [0, %".17"], [%".69", %"loop"]
  %".39" = phi  i8* [%".24", %".17"], [%".67", %"loop"]
  %".40" = phi  i8* [%".26", %".17"], [%".68", %"loop"]
  %".41" = phi  i8* [%".25", %".17"], [%".41", %"loop"]
  %".42" = phi  <4 x float> [<float              0x0, float              0x0, float              0x0, float              0x0>, %".17"], [%".61", %"loop"]
  %".43" = phi  <4 x float> [<float              0x0, float              0x0, float              0x0, float              0x0>, %".17"], [%".62", %"loop"]
  %".44" = phi  <4 x float> [<float              0x0, float              0x0, float              0x0, float              0x0>, %".17"], [%".65", %"loop"]
  %".45" = phi  <4 x float> [<float              0x0, float              0x0, float              0x0, float              0x0>, %".17"], [%".66", %"loop"]
  %".46" = bitcast i8* %".39" to i64*
  %".47" = load i64, i64* %".46", align 8
  %".48" = getelementptr i8, i8* %".41", i64 %".47"
  %".49" = bitcast i8* %".48" to <4 x float>*
  %".50" = load <4 x float>, <4 x float>* %".49", align 4
  %".51" = getelementptr i8, i8* %".48", i64 16
  %".52" = bitcast i8* %".51" to <4 x float>*
  %".53" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".52", i32 4, <4 x i1> %".23", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".54" = bitcast i8* %".40" to float*
  %".55" = load float, float* %".54", align 4
  %".56" = getelementptr i8, i8* %".40", i64 4
  %".57" = bitcast i8* %".56" to float*
  %".58" = load float, float* %".57", align 4
  %".59" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".55", i32 0
  %".60" = shufflevector <4 x float> %".59", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".61" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".60", <4 x float> %".50", <4 x float> %".42")
  %".62" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".60", <4 x float> %".53", <4 x float> %".43")
  %".63" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".58", i32 0
  %".64" = shufflevector <4 x float> %".63", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".65" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".64", <4 x float> %".50", <4 x float> %".44")
  %".66" = call <4 x float> @"llvm.fma.v4f32"(<4 x float> %".64", <4 x float> %".53", <4 x float> %".45")
  %".67" = getelementptr i8, i8* %".39", i64 8
  %".68" = getelementptr i8, i8* %".40", i64 8
  %".69" = add i64 %".38", 1
  %".70" = icmp slt i64 %".69", %".1"
  br i1 %".70", label %"loop", label %"done"
done:
  %".72" = inttoptr i64 %".6" to i8*
  %".73" = icmp eq i64 %".8", 0
  br i1 %".73", label %"then", label %"after"
then:
  %".75" = bitcast i8* %".72" to <4 x float>*
  %".76" = load <4 x float>, <4 x float>* %".75", align 4
  %".77" = fadd <4 x float> %".61", %".76"
  %".78" = getelementptr i8, i8* %".72", i64 16
  %".79" = bitcast i8* %".78" to <4 x float>*
  %".80" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".79", i32 4, <4 x i1> %".23", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".81" = fadd <4 x float> %".62", %".80"
  %".82" = getelementptr i8, i8* %".72", i64 %".7"
  %".83" = bitcast i8* %".82" to <4 x float>*
  %".84" = load <4 x float>, <4 x float>* %".83", align 4
  %".85" = fadd <4 x float> %".65", %".84"
  %".86" = getelementptr i8, i8* %".82", i64 16
  %".87" = bitcast i8* %".86" to <4 x float>*
  %".88" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".87", i32 4, <4 x i1> %".23", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".89" = fadd <4 x float> %".66", %".88"
  %".90" = getelementptr i8, i8* %".82", i64 %".7"
  br label %"after"
after:
  %".92" = phi  <4 x float> [%".61", %"done"], [%".77", %"then"]
  %".93" = phi  <4 x float> [%".62", %"done"], [%".81", %"then"]
  %".94" = phi  <4 x float> [%".65", %"done"], [%".85", %"then"]
  %".95" = phi  <4 x float> [%".66", %"done"], [%".89", %"then"]
  %".96" = icmp ne i64 %".9", 0
  br i1 %".96", label %"then.1", label %"after.1"
then.1:
  %".98" = inttoptr i64 %".9" to i8*
  %".99" = bitcast i8* %".98" to float*
  %".100" = load float, float* %".99", align 4
  %".101" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".100", i32 0
  %".102" = shufflevector <4 x float> %".101", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".103" = getelementptr i8, i8* %".98", i64 4
  %".104" = bitcast i8* %".103" to float*
  %".105" = load float, float* %".104", align 4
  %".106" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".105", i32 0
  %".107" = shufflevector <4 x float> %".106", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".108" = fadd <4 x float> %".92", %".102"
  %".109" = fadd <4 x float> %".93", %".102"
  %".110" = fadd <4 x float> %".94", %".107"
  %".111" = fadd <4 x float> %".95", %".107"
  br label %"after.1"
after.1:
  %".113" = phi  <4 x float> [%".92", %"after"], [%".108", %"then.1"]
  %".114" = phi  <4 x float> [%".93", %"after"], [%".109", %"then.1"]
  %".115" = phi  <4 x float> [%".94", %"after"], [%".110", %"then.1"]
  %".116" = phi  <4 x float> [%".95", %"after"], [%".111", %"then.1"]
  %".117" = icmp ne i64 %".10", 0
  %".118" = inttoptr i64 %".10" to i8*
  br i1 %".117", label %"then.2", label %"after.2"
then.2:
  %".120" = bitcast i8* %".118" to <4 x float>*
  %".121" = load <4 x float>, <4 x float>* %".120", align 4
  %".122" = fadd <4 x float> %".113", %".121"
  %".123" = getelementptr i8, i8* %".118", i64 16
  %".124" = bitcast i8* %".123" to <4 x float>*
  %".125" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".124", i32 4, <4 x i1> %".23", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".126" = fadd <4 x float> %".114", %".125"
  %".127" = getelementptr i8, i8* %".118", i64 %".11"
  %".128" = bitcast i8* %".127" to <4 x float>*
  %".129" = load <4 x float>, <4 x float>* %".128", align 4
  %".130" = fadd <4 x float> %".115", %".129"
  %".131" = getelementptr i8, i8* %".127", i64 16
  %".132" = bitcast i8* %".131" to <4 x float>*
  %".133" = call <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".132", i32 4, <4 x i1> %".23", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>)
  %".134" = fadd <4 x float> %".116", %".133"
  %".135" = getelementptr i8, i8* %".127", i64 %".11"
  br label %"after.2"
after.2:
  %".137" = phi  <4 x float> [%".113", %"after.1"], [%".122", %"then.2"]
  %".138" = phi  <4 x float> [%".114", %"after.1"], [%".126", %"then.2"]
  %".139" = phi  <4 x float> [%".115", %"after.1"], [%".130", %"then.2"]
  %".140" = phi  <4 x float> [%".116", %"after.1"], [%".134", %"then.2"]
  %".141" = icmp eq i64 %".12", 1
  br i1 %".141", label %"then.3", label %"after.3"
then.3:
  %".143" = fcmp olt <4 x float> %".137", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".144" = select  <4 x i1> %".143", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".137"
  %".145" = fcmp olt <4 x float> %".138", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".146" = select  <4 x i1> %".145", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".138"
  %".147" = fcmp olt <4 x float> %".139", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".148" = select  <4 x i1> %".147", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".139"
  %".149" = fcmp olt <4 x float> %".140", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".150" = select  <4 x i1> %".149", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".140"
  br label %"after.3"
after.3:
  %".152" = phi  <4 x float> [%".137", %"after.2"], [%".144", %"then.3"]
  %".153" = phi  <4 x float> [%".138", %"after.2"], [%".146", %"then.3"]
  %".154" = phi  <4 x float> [%".139", %"after.2"], [%".148", %"then.3"]
  %".155" = phi  <4 x float> [%".140", %"after.2"], [%".150", %"then.3"]
  %".156" = icmp eq i64 %".12", 2
  br i1 %".156", label %"then.4", label %"after.4"
then.4:
  %".158" = fcmp olt <4 x float> %".152", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".159" = select  <4 x i1> %".158", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".152"
  %".160" = fcmp olt <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, %".152"
  %".161" = select  <4 x i1> %".160", <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, <4 x float> %".159"
  %".162" = fcmp olt <4 x float> %".153", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".163" = select  <4 x i1> %".162", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".153"
  %".164" = fcmp olt <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, %".153"
  %".165" = select  <4 x i1> %".164", <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, <4 x float> %".163"
  %".166" = fcmp olt <4 x float> %".154", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".167" = select  <4 x i1> %".166", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".154"
  %".168" = fcmp olt <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, %".154"
  %".169" = select  <4 x i1> %".168", <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, <4 x float> %".167"
  %".170" = fcmp olt <4 x float> %".155", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".171" = select  <4 x i1> %".170", <4 x float> <float              0x0, float              0x0, float              0x0, float              0x0>, <4 x float> %".155"
  %".172" = fcmp olt <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, %".155"
  %".173" = select  <4 x i1> %".172", <4 x float> <float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000, float 0x4018000000000000>, <4 x float> %".171"
  br label %"after.4"
after.4:
  %".175" = phi  <4 x float> [%".152", %"after.3"], [%".161", %"then.4"]
  %".176" = phi  <4 x float> [%".153", %"after.3"], [%".165", %"then.4"]
  %".177" = phi  <4 x float> [%".154", %"after.3"], [%".169", %"then.4"]
  %".178" = phi  <4 x float> [%".155", %"after.3"], [%".173", %"then.4"]
  %".179" = icmp sgt i64 %".12", 2
  br i1 %".179", label %"then.5", label %"after.5"
then.5:
  %".181" = inttoptr i64 %".12" to i8*
  %".182" = bitcast i8* %".181" to float*
  %".183" = load float, float* %".182", align 4
  %".184" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".183", i32 0
  %".185" = shufflevector <4 x float> %".184", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".186" = fmul <4 x float> %".175", %".185"
  %".187" = fcmp olt <4 x float> %".175", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".188" = select  <4 x i1> %".187", <4 x float> %".186", <4 x float> %".175"
  %".189" = inttoptr i64 %".12" to i8*
  %".190" = bitcast i8* %".189" to float*
  %".191" = load float, float* %".190", align 4
  %".192" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".191", i32 0
  %".193" = shufflevector <4 x float> %".192", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".194" = fmul <4 x float> %".176", %".193"
  %".195" = fcmp olt <4 x float> %".176", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".196" = select  <4 x i1> %".195", <4 x float> %".194", <4 x float> %".176"
  %".197" = inttoptr i64 %".12" to i8*
  %".198" = bitcast i8* %".197" to float*
  %".199" = load float, float* %".198", align 4
  %".200" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".199", i32 0
  %".201" = shufflevector <4 x float> %".200", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".202" = fmul <4 x float> %".177", %".201"
  %".203" = fcmp olt <4 x float> %".177", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".204" = select  <4 x i1> %".203", <4 x float> %".202", <4 x float> %".177"
  %".205" = inttoptr i64 %".12" to i8*
  %".206" = bitcast i8* %".205" to float*
  %".207" = load float, float* %".206", align 4
  %".208" = insertelement <4 x float> <float undef, float undef, float undef, float undef>, float %".207", i32 0
  %".209" = shufflevector <4 x float> %".208", <4 x float> <float undef, float undef, float undef, float undef>, <4 x i32> <i32 0, i32 0, i32 0, i32 0>
  %".210" = fmul <4 x float> %".178", %".209"
  %".211" = fcmp olt <4 x float> %".178", <float              0x0, float              0x0, float              0x0, float              0x0>
  %".212" = select  <4 x i1> %".211", <4 x float> %".210", <4 x float> %".178"
  br label %"after.5"
after.5:
  %".214" = phi  <4 x float> [%".175", %"after.4"], [%".188", %"then.5"]
  %".215" = phi  <4 x float> [%".176", %"after.4"], [%".196", %"then.5"]
  %".216" = phi  <4 x float> [%".177", %"after.4"], [%".204", %"then.5"]
  %".217" = phi  <4 x float> [%".178", %"after.4"], [%".212", %"then.5"]
  %".218" = bitcast i8* %".72" to <4 x float>*
  store <4 x float> %".214", <4 x float>* %".218", align 4
  %".220" = getelementptr i8, i8* %".72", i64 16
  %".221" = bitcast i8* %".220" to <4 x float>*
  call void @"llvm.masked.store.v4f32.p0"(<4 x float> %".215", <4 x float>* %".221", i32 4, <4 x i1> %".23")
  %".223" = getelementptr i8, i8* %".72", i64 %".7"
  %".224" = bitcast i8* %".223" to <4 x float>*
  store <4 x float> %".216", <4 x float>* %".224", align 4
  %".226" = getelementptr i8, i8* %".223", i64 16
  %".227" = bitcast i8* %".226" to <4 x float>*
  call void @"llvm.masked.store.v4f32.p0"(<4 x float> %".217", <4 x float>* %".227", i32 4, <4 x i1> %".23")
  %".229" = getelementptr i8, i8* %".223", i64 %".7"
  ret void
}

declare void @"llvm.prefetch.p0"(i8* %".1", i32 %".2", i32 %".3", i32 %".4")

declare <4 x float> @"llvm.masked.load.v4f32.p0"(<4 x float>* %".1", i32 %".2", <4 x i1> %".3", <4 x float> %".4")

declare <4 x float> @"llvm.fma.v4f32"(<4 x float> %".1", <4 x float> %".2", <4 x float> %".3")

declare void @"llvm.masked.store.v4f32.p0"(<4 x float> %".1", <4 x float>* %".2", i32 %".3", <4 x i1> %".4")
